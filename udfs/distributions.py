"""Probabilities and quantiles that neither engine has: F, noncentral F, t, chi squared, normal.

scipy takes up to a second to import: only a session that calls one of these pays for it.

Each takes arrays of float64 and gives an array of float64. NULL where an argument is NULL or NaN, and where the
distribution is not defined (degrees of freedom <= 0, noncentrality < 0, probability outside [0, 1]) or the value is
not finite: kernels never hand NaN or infinity to SQL.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa


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
