{{ config(enabled=needs('drivers')) }}
-- The numbers are those of the kernel (int_correlation). A fit without residuals leaves no doubt and has no t.
with pairs as (
    {{ correlation_pairs({'n': 'units.n_complete', 'df': 'units.fit.df', 'r2': 'units.fit.r2', 'found': member('units.fit.factors', 'factors.position')}) }}
),

coefficients as (
    select
        study,
        variable,
        product,
        layer,
        unit_kind,
        unit_id,
        grid_id,
        pixel_id,
        factor,
        time_step,
        season,
        period_kind,
        period_start,
        period_end,
        on_values,
        n,
        found.coefficient,
        found.coefficient_standardised,
        found.se,
        found.vif,
        cast(case when found.coefficient is not null then df end as bigint) as df,
        found.t as t_statistic,
        case when abs(found.partial_r) >= 1 then cast(0 as double) else found.p end as p,
        case when found.coefficient is not null then r2 end as r2
    from pairs
)

select
    *,
    {{ significance_class('coefficient', 'p') }} as significance_class,
    case when coefficient_standardised is not null then
        cast(rank() over (
            partition by variable, product, layer, unit_kind, unit_id, time_step, season, on_values
            order by abs(coefficient_standardised) desc nulls last
        ) as int)
    end as importance_rank,
    n < 10 as is_small_sample
from coefficients
