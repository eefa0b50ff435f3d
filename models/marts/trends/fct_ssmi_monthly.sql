{{ config(enabled=needs('trends')) }}
with indexed as (
    select
        series_id,
        'all' as region_id,
        pixel_id,
        month,
        scale_months,
        'pixel_month' as reference_kind,
        ssmi,
        ssmi_empirical,
        n_reference
    from {{ ref('int_ssmi') }}
    union all
    -- Single months only: what this reference is for, maps and depth, is a mean over a period anyway.
    select
        series_id,
        region_id,
        pixel_id,
        month,
        cast(1 as int) as scale_months,
        'layer_pooled' as reference_kind,
        ssmi,
        cast(null as double) as ssmi_empirical,
        n_reference
    from {{ ref('int_ssmi_pooled') }}
)

select
    series.study,
    series.product,
    series.layer,
    indexed.region_id,
    series.grid_id,
    indexed.pixel_id,
    indexed.month,
    indexed.scale_months,
    indexed.reference_kind,
    indexed.ssmi,
    indexed.ssmi_empirical,
    indexed.n_reference,
    {{ moisture_state('indexed.ssmi') }} as state
from indexed
inner join {{ ref('int_series') }} as series on indexed.series_id = series.series_id
