{{ config(enabled=needs('drivers')) }}
-- Long, for people and for copies that hold marts alone: what the detectors themselves read has a column a factor (int_pixel_strata).
with strata as (
    {%- for factor in driver_factors() %}
    select driver_map_id, pixel_id, {{ literal(factor.factor) }} as factor, stratum_{{ factor.factor_id }} as stratum
    from {{ ref('int_pixel_strata') }}
    where stratum_{{ factor.factor_id }} is not null
    {% if not loop.last %}union all{% endif %}
    {%- else %}
    select driver_map_id, pixel_id, cast(null as string) as factor, cast(null as int) as stratum
    from {{ ref('int_pixel_strata') }}
    where false
    {%- endfor %}
)

select
    {{ driver_map_names('maps') }},
    strata.factor,
    strata.pixel_id,
    cast(strata.stratum as int) as stratum,
    maps.sampling
from strata
inner join {{ ref('int_driver_map') }} as maps on strata.driver_map_id = maps.driver_map_id
