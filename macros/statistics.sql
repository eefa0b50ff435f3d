{#- Statistics that SQL has no word for, or that the engines compute differently, as expressions over plain columns. -#}


{#- The arithmetic mean of a group, never outside its values. Summing rounds: days that are all 0.02 have a mean of 0.02 in one month and
    of 0.020000000000000004 in the next, and Mann-Kendall's test, which only asks which is larger, counts a rise.
    Usage: select {{ mean('value') }} as mean ... group by ... -#}
{% macro mean(value) -%}
    greatest(min({{ value }}), least(max({{ value }}), avg({{ value }})))
{%- endmacro %}


{#- Pearson's correlation of two columns in a group, NULL where one of them is constant, for which DuckDB's corr gives NaN and Spark's
    NULL. Rounding can carry a perfect correlation past 1, so it is cut there.
    Usage: select {{ correlation('x', 'y') }} as r ... group by ... -#}
{% macro correlation(x, y) -%}
    case when min({{ x }}) < max({{ x }}) and min({{ y }}) < max({{ y }})
        then greatest(cast(-1 as double), least(cast(1 as double), corr({{ x }}, {{ y }})))
    end
{%- endmacro %}


{#- Twice the rank of a value in its partition, where equal values share the mean of their ranks: an integer, which sorts and is stored
    at half the cost of a double, and correlates like the rank itself. Both windows are the same, so the engine sorts once: rank() is
    the lowest rank of a tie, and a count up to the current row, which takes its peers in, the highest.
    Usage: {{ doubled_rank('map_id', 'value') }} as doubled_rank -#}
{% macro doubled_rank(partition_by, order_by) -%}
    cast(rank() over (partition by {{ partition_by }} order by {{ order_by }} nulls last)
        + count(*) over (partition by {{ partition_by }} order by {{ order_by }} nulls last) as int)
{%- endmacro %}


{#- A quantile of a group (R's type 7, numpy's default) from the values' ranks 1 to n: the two values around position (n - 1) p + 1 with
    their weights, all others with weight 0. For groups as large as a map, whose values percentile_cont would hold in memory all at
    once; where they are ranked anyway the sum is free. `rank` and `n` are columns.
    Usage: {{ quantile_of_ranked('value', 'rank_in_map', 'n_pixels', 0.25) }} as q25 -#}
{% macro quantile_of_ranked(value, rank, n, p) -%}
    sum({{ value }} * greatest(cast(0 as double), 1 - abs({{ rank }} - 1 - ({{ n }} - 1) * cast({{ p }} as double))))
{%- endmacro %}


{#- Probability of the value of rank 1 to n in a QQ plot: R's ppoints, (rank - a) / (n + 1 - 2a), a = 3/8 up to ten values, else 1/2. -#}
{% macro plotting_position(rank, n) -%}
    case when {{ n }} <= 10 then ({{ rank }} - cast(0.375 as double)) / ({{ n }} + cast(0.25 as double))
        else ({{ rank }} - cast(0.5 as double)) / {{ n }}
    end
{%- endmacro %}


{#- Benjamini and Hochberg (1995) over the rows of a partition, in two steps: ranks, then the smallest p m / i of all larger p. Equal p share
    the largest i of their tie, which is m + 1 less their rank from the other end, and the window's frame takes in the whole tie. The
    quotient comes first: p m / m is not always p.
    Usage: select *, {{ ranks_from_largest('p', 'map_id') }} from ..., then select {{ adjusted_p('p', 'map_id') }} as p_adjusted -#}
{% macro ranks_from_largest(p, partition_by) -%}
    rank() over (partition by {{ partition_by }} order by {{ p }} desc nulls last) as rank_from_largest,
    count({{ p }}) over (partition by {{ partition_by }}) as n_tests
{%- endmacro %}
{% macro adjusted_p(p, partition_by) -%}
    case when {{ p }} is not null then
        least(cast(1 as double), min({{ p }} * (n_tests / nullif(n_tests + 1 - rank_from_largest, 0))) over (
            partition by {{ partition_by }} order by {{ p }} desc nulls last
            range between unbounded preceding and current row
        ))
    end
{%- endmacro %}
