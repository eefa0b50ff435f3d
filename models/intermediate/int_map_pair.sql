-- Pairs of maps of one series and region, at most `rank_stability.max_lag_months` apart. Complete are those in which no pixel that the
-- series ever has in the region is missing. A table, and not a step of the mart, for what DuckDB then knows of it: see fct_rank_stability.
{{ config(enabled=needs('patterns')) }}
with pixels_of_region as (
    select series_id, region_id, count(*) as n_pixels
    from (select distinct series_id, region_id, pixel_id from {{ ref('int_monthly_region') }}) as pixels
    group by series_id, region_id
),

maps as (
    select
        maps.map_id,
        maps.series_id,
        maps.region_id,
        maps.month,
        year(maps.month) * 12 + month(maps.month) as month_index,
        maps.n_pixels = pixels_of_region.n_pixels as is_complete
    from {{ ref('int_map') }} as maps
    inner join pixels_of_region
        on maps.series_id = pixels_of_region.series_id and maps.region_id = pixels_of_region.region_id
)

select
    cast(row_number() over (order by earlier.map_id, later.map_id) as int) as pair_id,
    earlier.series_id,
    earlier.region_id,
    earlier.map_id as map_1,
    later.map_id as map_2,
    earlier.month as month_1,
    later.month as month_2,
    earlier.is_complete and later.is_complete as is_complete
from maps as earlier
inner join maps as later
    on earlier.series_id = later.series_id
    and earlier.region_id = later.region_id
    and later.month_index between earlier.month_index + 1
    and earlier.month_index + {{ study('rank_stability').max_lag_months | int }}
