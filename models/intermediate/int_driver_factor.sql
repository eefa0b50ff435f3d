-- Every factor of every driver map, but a target as its own explanation. `cells_map_id` is the map whose cells it uses: those of a factor
-- without dates are the same for all maps with the same pixels, a series has other values in each period.
{{ config(enabled=needs('drivers')) }}
select
    maps.driver_map_id,
    factors.factor_id,
    case when factors.source = 'series' then maps.driver_map_id else maps.shared_map_id end as cells_map_id,
    maps.n_pixels_of_map,
    factors.kind,
    factors.source,
    coalesce(factors.method, {{ literal(study('drivers').methods | join(',')) }}) as methods,
    coalesce(factors.n_strata_asked, cast({{ study('drivers').k_min }} as int)) as k_min,
    coalesce(factors.n_strata_asked, cast({{ study('drivers').k_max }} as int)) as k_max
from {{ ref('int_driver_map') }} as maps
inner join {{ ref('int_factor') }} as factors
    on factors.is_driver and (factors.series_id is null or factors.series_id <> maps.series_id)
