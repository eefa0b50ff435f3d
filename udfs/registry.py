"""The list of kernels. DuckDB, Spark, ibis and docs/kernels.md are all fed from it.

To add a kernel: write a function of Arrow arrays, and give it an entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from udfs import distributions, preparation, trend
from udfs.types import SERIES, Enforced, duckdb_type, spark_type

INTEGER, DOUBLE = pa.int32(), pa.float64()


@dataclass(frozen=True)
class Kernel:
    """A pure function of Arrow arrays, and everything an engine or a reader must know of it.

    `function` takes one array an argument, of exactly the declared types, and returns one array of type `returns`,
    of the same length. `example` is a DuckDB query that runs as it stands.
    """

    name: str
    arguments: dict[str, pa.DataType]
    returns: pa.DataType
    function: Callable[..., pa.Array]
    summary: str
    meaning: str
    nulls: str
    minimum: str
    citation: str
    example: str

    @property
    def call(self) -> Enforced:
        """The function as engines call it, with its types enforced."""
        return Enforced(self.name, self.arguments, self.returns, self.function)

    @property
    def duckdb_arguments(self) -> list[str]:
        return [duckdb_type(arrow) for arrow in self.arguments.values()]

    @property
    def duckdb_returns(self) -> str:
        return duckdb_type(self.returns)

    @property
    def spark_returns(self) -> str:
        return spark_type(self.returns)


_SCALAR_NULLS = "NULL where an argument is NULL or NaN, or the distribution is not defined there."

KERNELS: tuple[Kernel, ...] = (
    Kernel(
        name="mann_kendall",
        arguments={"series": SERIES},
        returns=trend.MANN_KENDALL,
        function=trend.mann_kendall,
        summary="Mann-Kendall's test for a monotonic trend.",
        meaning=(
            "`n` values used; `s` = sum over pairs of sgn(v_j - v_i), t_i < t_j; `var_s` its variance under no trend, "
            "corrected for ties; `z` = (s - sgn s) / sqrt(var_s), 0 when s = 0; `p` two-sided, erfc(|z| / sqrt 2); "
            "`tau_a` = s / (n (n - 1) / 2); `tau_b` the same with ties taken out of the pairs. "
            "A constant series has s = 0, var_s = 0, z = 0, p = 1. "
            "Several values at one t are ties in time: their pairs add nothing to s, and var_s and tau_b allow for them."
        ),
        nulls=(
            "NULL series: NULL. Members that are NULL or have a NULL t, and v that are NULL, NaN or infinite are "
            "dropped. `tau_b` is NULL when all v (or all t) are equal."
        ),
        minimum="3 values; fewer: NULL.",
        citation=(
            "Mann, H. B. (1945), Nonparametric tests against trend, Econometrica 13, 245-259. "
            "Kendall, M. G. (1970), Rank Correlation Methods, 4th ed., Griffin."
        ),
        example=(
            "select unnest(mann_kendall(list({'t': t::integer, 'v': v})))\n"
            "from (values (2001, 0.21::double), (2002, 0.22), (2003, 0.20), (2004, 0.25), (2005, 0.27)) as x(t, v)"
        ),
    ),
    Kernel(
        name="theil_sen",
        arguments={"series": SERIES},
        returns=trend.THEIL_SEN,
        function=trend.theil_sen,
        summary="The Theil-Sen line: the median of all pairwise slopes.",
        meaning=(
            "`n` values used; `slope` = median of (v_j - v_i) / (t_j - t_i) over the pairs with t_i < t_j, per unit of "
            "t, gaps kept; `intercept` = median(v) - slope x median(t), the value at t = 0; `slope_lower`, "
            "`slope_upper` the 95 % interval by Sen's normal approximation with ties, as scipy.stats.theilslopes. "
            "Several values at one t: their pairs have no slope and are left out."
        ),
        nulls=(
            "NULL series: NULL. Members that are NULL or have a NULL t, and v that are NULL, NaN or infinite are dropped."
        ),
        minimum="2 values at different t; fewer: NULL. Below 10 the interval is a rough one.",
        citation=(
            "Sen, P. K. (1968), Estimates of the regression coefficient based on Kendall's tau, "
            "J. Am. Stat. Assoc. 63, 1379-1389. Theil, H. (1950), Proc. K. Ned. Akad. Wet. 53."
        ),
        example=(
            "select unnest(theil_sen(list({'t': t::integer, 'v': v})))\n"
            "from (values (2001, 0.21::double), (2002, 0.22), (2003, NULL), (2004, 0.25), (2005, 0.27)) as x(t, v)"
        ),
    ),
    Kernel(
        name="fill_gaps",
        arguments={"series": SERIES, "max_gap": INTEGER},
        returns=preparation.FILLED_SERIES,
        function=preparation.fill_gaps,
        summary="Linear gap filling with a valid value near on each side.",
        meaning=(
            "Every integer t between the first and the last value, sorted. A missing t is filled on the line between its "
            "neighbours when both lie within `max_gap` steps of it (`is_filled` true); a t farther from either stays out "
            "of the list, and nothing is filled before the first or after the last value. "
            "Several values at one t become their mean."
        ),
        nulls=(
            "NULL series or max_gap: NULL. Members that are NULL or have a NULL t, and v that are NULL, NaN or infinite "
            "are gaps. A negative max_gap is an error."
        ),
        minimum="1 value; none: NULL.",
        citation="Linear interpolation between neighbours.",
        example=(
            "select unnest(fill_gaps(list({'t': t::integer, 'v': v}), 15), recursive := true)\n"
            "from (values (1, 0.21::double), (2, NULL), (3, 0.23), (40, 0.25)) as x(t, v)"
        ),
    ),
    Kernel(
        name="savitzky_golay",
        arguments={"series": SERIES, "half_width": INTEGER, "order": INTEGER},
        returns=SERIES,
        function=preparation.savitzky_golay,
        summary="The Savitzky-Golay filter: a local polynomial of degree `order` over 2 x half_width + 1 values.",
        meaning=(
            "Sorted by t. Applied to each unbroken run of consecutive t; the ends of a run are read off the polynomial of "
            "its first and last window (scipy.signal.savgol_filter, mode 'interp'); a run shorter than the window is "
            "returned as it is. Several values at one t become their mean. "
            "After `fill_gaps`, drop its `is_filled`: by a cast on DuckDB, as in the example, on Spark by "
            "`transform(filled, x -> named_struct('t', x.t, 'v', x.v))`."
        ),
        nulls=(
            "NULL series, half_width or order: NULL. Members that are NULL or have a NULL t, and v that are NULL, NaN or "
            "infinite break a run. An order above 2 x half_width is an error."
        ),
        minimum="1 value; none: NULL.",
        citation=(
            "Savitzky, A., Golay, M. J. E. (1964), Smoothing and differentiation of data by simplified least squares "
            "procedures, Anal. Chem. 36, 1627-1639."
        ),
        example=(
            "select unnest(savitzky_golay(\n"
            "  fill_gaps(list({'t': t::integer, 'v': v}), 15)::STRUCT(t INTEGER, v DOUBLE)[], 2, 1), recursive := true)\n"
            "from (values (1, 0.21::double), (2, 0.25), (4, 0.20), (5, 0.27), (6, 0.22)) as x(t, v)"
        ),
    ),
    Kernel(
        name="f_p",
        arguments={"f": DOUBLE, "df1": DOUBLE, "df2": DOUBLE},
        returns=DOUBLE,
        function=distributions.f_p,
        summary="P(F > f) of the F distribution with df1 and df2 degrees of freedom.",
        meaning="The significance of a variance ratio.",
        nulls=_SCALAR_NULLS,
        minimum="df1, df2 > 0; else NULL.",
        citation="Cephes fdtrc, through scipy.special.",
        example="select f_p(4.0, 3, 20) as p",
    ),
    Kernel(
        name="noncentral_f_p",
        arguments={"f": DOUBLE, "df1": DOUBLE, "df2": DOUBLE, "nc": DOUBLE},
        returns=DOUBLE,
        function=distributions.noncentral_f_p,
        summary="P(F > f) of the noncentral F distribution with noncentrality nc.",
        meaning="nc = 0 is the central F distribution and is computed as such.",
        nulls=_SCALAR_NULLS,
        minimum="df1, df2 > 0, nc >= 0; else NULL.",
        citation="Boost.Math non_central_f, through scipy.stats.ncf.",
        example="select noncentral_f_p(4.0, 3, 20, 2.5) as p",
    ),
    Kernel(
        name="t_p",
        arguments={"t": DOUBLE, "df": DOUBLE},
        returns=DOUBLE,
        function=distributions.t_p,
        summary="P(|T| > |t|), two-sided, of Student's t distribution with df degrees of freedom.",
        meaning="The significance of a coefficient divided by its standard error.",
        nulls=_SCALAR_NULLS,
        minimum="df > 0; else NULL.",
        citation="Cephes stdtr, through scipy.special.",
        example="select t_p(-2.1, 18) as p",
    ),
    Kernel(
        name="chi2_quantile",
        arguments={"p": DOUBLE, "df": DOUBLE},
        returns=DOUBLE,
        function=distributions.chi2_quantile,
        summary="The x with P(X <= x) = p of the chi-squared distribution with df degrees of freedom.",
        meaning="For intervals of variances, such as those of ubRMSE.",
        nulls=_SCALAR_NULLS + " p = 1 is infinite: NULL.",
        minimum="df > 0, 0 <= p < 1; else NULL.",
        citation="Boost.Math gamma_p_inv, through scipy.special.gammaincinv.",
        example="select chi2_quantile(0.975, 20) as x",
    ),
    Kernel(
        name="normal_quantile",
        arguments={"p": DOUBLE},
        returns=DOUBLE,
        function=distributions.normal_quantile,
        summary="The z with P(Z <= z) = p of the standard normal distribution.",
        meaning="For QQ points, empirical SSMI and intervals.",
        nulls=_SCALAR_NULLS + " p = 0 and p = 1 are infinite: NULL.",
        minimum="0 < p < 1; else NULL.",
        citation="Cephes ndtri, through scipy.special.",
        example="select normal_quantile(0.975) as z",
    ),
)
