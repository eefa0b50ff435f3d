-- Measurements of the study's station products, one a station, layer and day in the study's time zone. A delivered day without a time of
-- day is that day. Quality `G` is good at the International Soil Moisture Network, `U` unflagged; a network without flags has NULL.
-- Values outside 0 to 1 m3 m-3 are not soil moisture.
{% set products = study('stations') %}
with delivered as (
    {% for product in products %}
    select
        {{ literal(product) }} as product,
        station_id,
        layer_top_cm,
        layer_bottom_cm,
        coalesce({{ local_date('obs_time') }}, obs_date) as obs_date,
        {{ finite('soil_moisture_m3m3') }} as soil_moisture_m3m3,
        quality
    from {{ read_lake('raw/' ~ product, partitioned=true) }}
    {% if not loop.last %}union all{% endif %}
    {% else %}
    select
        cast(null as string) as product, cast(null as string) as station_id, cast(null as double) as layer_top_cm,
        cast(null as double) as layer_bottom_cm, cast(null as date) as obs_date, cast(null as double) as soil_moisture_m3m3,
        cast(null as string) as quality
    where false
    {% endfor %}
),

good as (
    select
        product,
        station_id,
        cast(layer_top_cm as double) as layer_top_cm,
        cast(layer_bottom_cm as double) as layer_bottom_cm,
        obs_date,
        soil_moisture_m3m3,
        quality
    from delivered
    where soil_moisture_m3m3 between 0 and 1 and (quality is null or quality in ('G', 'U'))
)

select
    product,
    station_id,
    {{ layer_name('layer_top_cm', 'layer_bottom_cm') }} as layer,
    layer_top_cm,
    layer_bottom_cm,
    obs_date,
    avg(soil_moisture_m3m3) as soil_moisture_m3m3,
    min(quality) as quality
from good
group by product, station_id, layer_top_cm, layer_bottom_cm, obs_date
