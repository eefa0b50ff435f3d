{{ config(enabled=needs('patterns')) }}
-- Ranks are those among the pixels valid in both months, so a pair with gaps is ranked anew, as a pair. Maps in which no pixel of the
-- region is missing keep their own ranks in every pair: gap-free products are sorted once a month, not once a pair.
-- Two things keep DuckDB from work that is not needed. The rows of the pairs are written out in each branch, because a common table
-- expression that two branches read would be stored. And pairs and ranks are tables, whose statistics say that a map has few partners:
-- without them the join begins with all months of a pixel against each other, 700 million rows for ten million of six years.
{% set paired_pixels %}
    from {{ ref('int_map_pair') }} as pairs
    inner join {{ ref('int_map_rank') }} as earlier on pairs.map_1 = earlier.map_id
    inner join {{ ref('int_map_rank') }} as later on pairs.map_2 = later.map_id and earlier.pixel_id = later.pixel_id
{% endset %}
with ranks as (
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
    select
        pair_id,
        cast(count(*) as bigint) as n,
        {{ correlation('cast(rank_1 as double)', 'cast(rank_2 as double)') }} as rho
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
inner join {{ ref('int_map_pair') }} as pairs on correlated.pair_id = pairs.pair_id
inner join {{ ref('int_series') }} as series on pairs.series_id = series.series_id
