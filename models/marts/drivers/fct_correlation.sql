{{ config(enabled=needs('drivers')) }}
-- A perfect correlation leaves no doubt and has no t; a constant has no correlation.
with pairs as (
    {{ correlation_pairs({'n': of_factor('n_', 'bigint'), 'coefficient': of_factor('r_', 'double')}) }}
),

tested as (
    select
        *,
        case when coefficient is not null then n - 2 end as df,
        coefficient * sqrt(greatest(n - 2, 0) / nullif(greatest((1 - coefficient) * (1 + coefficient), 0), 0)) as t_statistic
    from pairs
),

significance as (
    select
        *,
        case when abs(coefficient) >= 1 then cast(0 as double) else t_p(t_statistic, cast(df as double)) end as p
    from tested
)

select
    *,
    {{ significance_class('coefficient', 'p') }} as significance_class,
    n < 10 as is_small_sample
from significance
