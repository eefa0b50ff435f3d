-- Pixels drawn at random among those where both products have a value on the study's days (`random_pairs`): so many in each region and on each day, by the
-- digest of seed and pixel, which is the same on both engines and in every build.
{{ config(enabled=needs('validation')) }}
{% set asked = study('validation').random_pairs %}
with pairs as (
    select comparison_id, grid_id, pixel_id, obs_date, value_1, value_2
    from {{ ref('int_product_pair') }}
    where time_step = 'day'
    {%- if asked is none %}
        and false
    {%- else %}
        and obs_date in ({% for date in asked.dates %}cast('{{ date }}' as date){{ ', ' if not loop.last }}{% endfor %})
    {%- endif %}
)

select
    pairs.comparison_id,
    regions.region_id,
    pairs.grid_id,
    pairs.pixel_id,
    pairs.obs_date,
    pairs.value_1,
    pairs.value_2
from pairs
inner join {{ ref('int_pixel_region') }} as regions
    on pairs.grid_id = regions.grid_id and pairs.pixel_id = regions.pixel_id
qualify row_number() over (
    partition by pairs.comparison_id, regions.region_id, pairs.obs_date
    order by md5({{ literal(asked.seed if asked is not none else 1) }} || ' ' || cast(pairs.pixel_id as string)) nulls last, pairs.pixel_id nulls last
) <= {{ asked.n | int if asked is not none else 0 }}
