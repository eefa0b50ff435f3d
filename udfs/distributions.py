"""Probabilities and quantiles that neither engine has: F, noncentral F, t, chi squared, normal.

scipy takes up to a second to import: only a session that calls one of these pays for it.

Each takes arrays of float64 and gives an array of float64. NULL where an argument is NULL or NaN, and where the
distribution is not defined (degrees of freedom <= 0, noncentrality < 0, probability outside [0, 1]) or the value is
not finite: kernels never hand NaN or infinity to SQL.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from udfs.kernel import Kernel


def f_p(f: pa.Array, df1: pa.Array, df2: pa.Array) -> pa.Array:
    """P(F > f) of the F distribution with df1 and df2 degrees of freedom."""
    from scipy import special

    f, df1, df2 = _numpy(f, df1, df2)
    return _arrow(np.where(f < 0, 1.0, special.fdtrc(df1, df2, np.maximum(f, 0.0))), (df1 > 0) & (df2 > 0))


def noncentral_f_p(f: pa.Array, df1: pa.Array, df2: pa.Array, nc: pa.Array) -> pa.Array:
    """P(F > f) of the noncentral F distribution; nc = 0 is the central one (scipy's own form is wrong there)."""
    from scipy import special, stats

    f, df1, df2, nc = _numpy(f, df1, df2, nc)
    central = nc == 0
    above = np.where(f < 0, 1.0, special.fdtrc(df1, df2, np.maximum(f, 0.0)))
    shifted = ~central & (f >= 0)
    above[shifted] = stats.ncf.sf(f[shifted], df1[shifted], df2[shifted], nc[shifted])
    return _arrow(above, (df1 > 0) & (df2 > 0) & (nc >= 0))


def t_p(t: pa.Array, df: pa.Array) -> pa.Array:
    """P(|T| > |t|), two-sided, of Student's t distribution with df degrees of freedom."""
    from scipy import special

    t, df = _numpy(t, df)
    return _arrow(2.0 * special.stdtr(df, -np.abs(t)), df > 0)


def chi2_quantile(p: pa.Array, df: pa.Array) -> pa.Array:
    """The x with P(X <= x) = p of the chi-squared distribution with df degrees of freedom."""
    from scipy import special

    p, df = _numpy(p, df)
    return _arrow(2.0 * special.gammaincinv(df / 2.0, p), (df > 0) & (p >= 0) & (p <= 1))


def normal_quantile(p: pa.Array) -> pa.Array:
    """The z with P(Z <= z) = p of the standard normal distribution."""
    from scipy import special

    (p,) = _numpy(p)
    return _arrow(special.ndtri(p), (p >= 0) & (p <= 1))


def _numpy(*columns: pa.Array) -> list[np.ndarray]:
    return [column.to_numpy(zero_copy_only=False) for column in columns]  # NULL becomes NaN


def _arrow(values: np.ndarray, is_defined: np.ndarray) -> pa.Array:
    return pa.array(values, pa.float64(), mask=~(is_defined & np.isfinite(values)))


_SCALAR_NULLS = "NULL where an argument is NULL or NaN, or the distribution is not defined there."

KERNELS = (
    Kernel(
        name="f_p",
        arguments={"f": pa.float64(), "df1": pa.float64(), "df2": pa.float64()},
        returns=pa.float64(),
        function=f_p,
        summary="P(F > f) of the F distribution with df1 and df2 degrees of freedom.",
        meaning="The significance of a variance ratio.",
        nulls=_SCALAR_NULLS,
        minimum="df1, df2 > 0; else NULL.",
        citation="Cephes fdtrc, through scipy.special.",
        example="select f_p(4.0, 3, 20) as p",
    ),
    Kernel(
        name="noncentral_f_p",
        arguments={"f": pa.float64(), "df1": pa.float64(), "df2": pa.float64(), "nc": pa.float64()},
        returns=pa.float64(),
        function=noncentral_f_p,
        summary="P(F > f) of the noncentral F distribution with noncentrality nc.",
        meaning="nc = 0 is the central F distribution and is computed as such.",
        nulls=_SCALAR_NULLS,
        minimum="df1, df2 > 0, nc >= 0; else NULL.",
        citation="Boost.Math non_central_f, through scipy.stats.ncf.",
        example="select noncentral_f_p(4.0, 3, 20, 2.5) as p",
    ),
    Kernel(
        name="t_p",
        arguments={"t": pa.float64(), "df": pa.float64()},
        returns=pa.float64(),
        function=t_p,
        summary="P(|T| > |t|), two-sided, of Student's t distribution with df degrees of freedom.",
        meaning="The significance of a coefficient divided by its standard error.",
        nulls=_SCALAR_NULLS,
        minimum="df > 0; else NULL.",
        citation="Cephes stdtr, through scipy.special.",
        example="select t_p(-2.1, 18) as p",
    ),
    Kernel(
        name="chi2_quantile",
        arguments={"p": pa.float64(), "df": pa.float64()},
        returns=pa.float64(),
        function=chi2_quantile,
        summary="The x with P(X <= x) = p of the chi-squared distribution with df degrees of freedom.",
        meaning="For intervals of variances, such as those of ubRMSE.",
        nulls=_SCALAR_NULLS + " p = 1 is infinite: NULL.",
        minimum="df > 0, 0 <= p < 1; else NULL.",
        citation="Boost.Math gamma_p_inv, through scipy.special.gammaincinv.",
        example="select chi2_quantile(0.975, 20) as x",
    ),
    Kernel(
        name="normal_quantile",
        arguments={"p": pa.float64()},
        returns=pa.float64(),
        function=normal_quantile,
        summary="The z with P(Z <= z) = p of the standard normal distribution.",
        meaning="For QQ points, empirical SSMI and intervals.",
        nulls=_SCALAR_NULLS + " p = 0 and p = 1 are infinite: NULL.",
        minimum="0 < p < 1; else NULL.",
        citation="Cephes ndtri, through scipy.special.",
        example="select normal_quantile(0.975) as z",
    ),
)
