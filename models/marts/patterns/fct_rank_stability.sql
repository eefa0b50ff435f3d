{{ config(enabled=needs('patterns')) }}
-- Ranks are those among the pixels valid in both months, so a pair with gaps is ranked anew, as a pair. Maps in which no pixel of the
-- region is missing keep their own ranks in every pair: gap-free products are sorted once a month, not once a pair.
-- The rows of the pairs are written out in each branch; as a common table expression that two branches read, DuckDB would store them.
{% set max_lag = study('rank_stability').max_lag_months | int %}
{% set paired_pixels %}
    from pairs
    inner join ranked as earlier on pairs.map_1 = earlier.map_id
    inner join ranked as later on pairs.map_2 = later.map_id and earlier.pixel_id = later.pixel_id
{% endset %}
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
),

pairs as (
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
        and later.month_index between earlier.month_index + 1 and earlier.month_index + {{ max_lag }}
),

ranked as (
    select
        maps.map_id,
        pixels.pixel_id,
        {{ doubled_rank('maps.map_id', 'pixels.value') }} as doubled_rank
    from {{ ref('int_monthly_region') }} as pixels
    inner join maps
        on pixels.series_id = maps.series_id and pixels.region_id = maps.region_id and pixels.month = maps.month
),

ranks as (
    select pairs.pair_id, earlier.doubled_rank as rank_1, later.doubled_rank as rank_2
    {{ paired_pixels }}
    where pairs.is_complete
    union all
    select
        pairs.pair_id,
        {{ doubled_rank('pairs.pair_id', 'earlier.doubled_rank') }} as rank_1,
        {{ doubled_rank('pairs.pair_id', 'later.doubled_rank') }} as rank_2
    {{ paired_pixels }}
    where not pairs.is_complete
),

correlated as (
    select pair_id, cast(count(*) as bigint) as n, {{ correlation('cast(rank_1 as double)', 'cast(rank_2 as double)') }} as rho
    from ranks
    group by pair_id
)

select
    series.study,
    series.variable,
    series.product,
    series.layer,
    pairs.region_id,
    pairs.month_1,
    pairs.month_2,
    correlated.n,
    correlated.rho
from correlated
inner join pairs on correlated.pair_id = pairs.pair_id
inner join {{ ref('int_series') }} as series on pairs.series_id = series.series_id
