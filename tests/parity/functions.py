"""Examples of every function that the lint takes for shared: both engines are asked them, and the answers compared.

The sample's rows are where engines differ: NULL, zero, negative halves, ties, the first of a leap year's March.
"""

from __future__ import annotations

SAMPLE = """
    select * from (values
        (1, 'a', cast(-2.5 as double), cast(4 as double), 3, cast('2020-02-29' as date), ' Ab '),
        (2, 'a', cast(-0.5 as double), cast(2 as double), 0, cast('2020-03-01' as date), 'x-y-z'),
        (3, 'a', cast(0.5 as double), cast(2 as double), -7, cast('1999-12-31' as date), ''),
        (4, 'a', cast(1.5 as double), cast(0.3 as double), 7, cast('2021-01-01' as date), 'soil moisture'),
        (5, 'b', cast(2.5 as double), cast(1e-3 as double), 2, cast('1969-12-31' as date), 'Ab'),
        (6, 'b', cast(1e6 as double), cast(7 as double), 2, cast('2100-02-28' as date), 'b'),
        (7, 'b', cast(null as double), cast(1 as double), cast(null as int), cast(null as date), cast(null as string)),
        (8, 'c', cast(0.25 as double), cast(null as double), 5, cast('2018-08-15' as date), 'm3 m-3')
    ) as given(id, g, x, y, n, d, s)
"""

# Asked once a row; x may be negative, y is positive.
SCALAR = {
    "abs": ["abs(x)", "abs(n)"],
    "acos": ["acos(x / 1e6)"],
    "asin": ["asin(x / 1e6)"],
    "atan": ["atan(x)"],
    "atan2": ["atan2(x, y)"],
    "bit_count": ["cast(bit_count(abs(n)) as int)"],
    "cbrt": ["cbrt(x)"],
    "ceil": ["cast(ceil(x) as bigint)", "cast(ceil(x) as double)"],
    "coalesce": ["coalesce(x, y, 0)"],
    "cos": ["cos(x)"],
    "day": ["cast(day(d) as int)"],
    "degrees": ["degrees(x)"],
    "exp": ["exp(x / 1e4)"],
    "floor": ["cast(floor(x) as bigint)", "cast(floor(x) as double)"],
    "greatest": ["greatest(x, y)", "greatest(x, 0)", "greatest(n, 2)"],
    "last_day": ["cast(last_day(d) as date)"],
    "least": ["least(x, y)", "least(n, 2)"],
    "length": ["cast(length(s) as int)"],
    "ln": ["ln(y)"],
    "log10": ["log10(y)"],
    "lower": ["lower(s)"],
    "make_date": [
        "make_date(2020 + coalesce(n, 0), 2, 28)",
        "make_date(cast(year(d) as int), cast(month(d) as int), 1)",
    ],
    "md5": ["md5(s)"],
    "hex": ["hex(s)", "hex(cast(s as binary))"],
    "hour": ["cast(hour(cast('2020-02-29 23:59:58' as timestamp)) as int)"],
    "minute": ["cast(minute(cast('2020-02-29 23:59:58' as timestamp)) as int)"],
    "month": ["cast(month(d) as int)"],
    "nullif": ["nullif(x, 0.5)", "nullif(n, 2)"],
    "pi": ["pi()"],
    "power": ["power(y, 1.5)", "power(x, 2)", "power(x, 3)"],
    "quarter": ["cast(quarter(d) as int)"],
    "radians": ["radians(x)"],
    "replace": ["replace(s, 'b', '')", "replace(s, '-', '/')"],
    "round": ["cast(round(x) as bigint)", "cast(round(y * 10) as int)"],
    "second": ["cast(second(cast('2020-02-29 23:59:58' as timestamp)) as int)"],
    "sign": ["cast(sign(x) as double)"],
    "sin": ["sin(x)"],
    "split_part": ["split_part(s, '-', 1)", "split_part(s, '-', 2)", "split_part(s, '-', 9)"],
    "sqrt": ["sqrt(y)"],
    "substr": ["substr(s, 2, 2)", "substr(s, 1, 1)"],
    "substring": ["substring(s, 2, 2)"],
    "tan": ["tan(x / 1e6)"],
    "trim": ["trim(s)"],
    "upper": ["upper(s)"],
    "year": ["cast(year(d) as int)"],
}

# Asked once a group, and of all rows.
AGGREGATE = {
    "avg": ["avg(x)", "avg(n)"],
    "bit_or": ["cast(bit_or(n) as int)"],
    "corr": ["corr(x, y)"],
    "count": ["count(*)", "count(x)", "count(distinct n)", "count(*) filter (where x > 0)"],
    "covar_pop": ["covar_pop(x, y)"],
    "covar_samp": ["case when count(x * y) > 1 then covar_samp(x, y) end"],
    "grouping": ["cast(grouping(g) as int)"],
    "max": ["max(x)", "max(s)", "max(d)"],
    "max_by": ["max_by(s, y)"],
    "median": ["median(x)"],
    "min": ["min(x)", "min(s)", "min(d)"],
    "min_by": ["min_by(s, y)"],
    "percentile_cont": [
        "percentile_cont(0.25) within group (order by x)",
        "percentile_cont(0.9) within group (order by y)",
    ],
    "regr_intercept": ["case when count(x * y) > 1 then regr_intercept(x, y) end"],
    "regr_r2": ["case when count(x * y) > 1 then regr_r2(x, y) end"],
    "regr_slope": ["case when count(x * y) > 1 then regr_slope(x, y) end"],
    "stddev_pop": ["stddev_pop(y)"],
    "stddev_samp": ["stddev_samp(y)"],
    "sum": ["sum(x)", "cast(sum(n) as bigint)"],
    "var_pop": ["var_pop(y)"],
    "var_samp": ["var_samp(y)"],
}

# Asked over windows.
WINDOW = {
    "cume_dist": ["cume_dist() over (partition by g order by y nulls last)"],
    "dense_rank": ["cast(dense_rank() over (order by y nulls last) as int)"],
    "first_value": ["first_value(x) over (partition by g order by id)"],
    "lag": ["lag(x) over (partition by g order by id)"],
    "last_value": [
        "last_value(x) over (partition by g order by id rows between unbounded preceding and unbounded following)"
    ],
    "lead": ["lead(x, 2) over (order by id)"],
    "nth_value": ["nth_value(x, 2) over (order by id rows between unbounded preceding and unbounded following)"],
    "ntile": ["cast(ntile(3) over (order by y nulls last, id) as int)"],
    "percent_rank": ["percent_rank() over (order by y nulls last)"],
    "rank": ["cast(rank() over (order by y nulls last) as int)", "cast(rank() over (order by y desc) as int)"],
    "row_number": ["cast(row_number() over (partition by g order by n nulls last, id) as int)"],
}


def queries() -> dict[str, str]:
    """One query a kind, with a key column and a column an example; the same text for both engines."""
    asked = {
        "scalar": (SCALAR, "id", ""),
        "aggregate": (AGGREGATE, "g", "group by rollup (g)"),
        "window": (WINDOW, "id", ""),
    }
    return {
        kind: f"select {key}, {', '.join(f'{example} as {name}_{i}' for name, given in examples.items() for i, example in enumerate(given))} "
        f"from ({SAMPLE}) as sample {group}"
        for kind, (examples, key, group) in asked.items()
    }
