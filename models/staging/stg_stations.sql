-- Measurements of the study's station products, one row a station, sensor, variable, layer and time; NULL where a value is missing, is
-- flagged, or is nothing that can be measured. Times are UTC, days are those of the study's time zone; a delivered day without a time of day
-- is that day. Good are the flags of the study's `station_quality` (G is good at the International Soil Moisture Network, U not checked; C and
-- D, alone or together, are out of range and dubious) and values of networks without flags.
-- Percent of the volume is divided by 100, percent of the dry mass too and multiplied by the bulk density (water has 1 g cm-3).
-- What is measured above the ground has no depth: its layer is `surface`.
{% set products = study('stations') %}
{% set moisture = 'coalesce(soil_moisture_m3m3, soil_moisture_volume_percent / 100, soil_moisture_mass_percent / 100 * bulk_density_g_cm3)' %}
{% set measured = [
    {'variable': 'soil_moisture', 'value': moisture, 'unit': 'm3 m-3', 'lowest': 0, 'highest': 1, 'in_soil': true},
    {'variable': 'soil_temperature', 'value': 'soil_temperature_c', 'unit': 'degC', 'lowest': -90, 'highest': 80, 'in_soil': true},
    {'variable': 'air_temperature', 'value': 'air_temperature_c', 'unit': 'degC', 'lowest': -90, 'highest': 70, 'in_soil': false},
    {'variable': 'precipitation', 'value': 'precipitation_mm', 'unit': 'mm', 'lowest': 0, 'highest': 2000, 'in_soil': false},
] %}
with delivered as (
    {% for product in products %}
    {% set outer = loop %}
    {% for kind in measured %}
    select
        {{ literal(product) }} as product,
        station_id,
        sensor,
        {{ literal(kind.variable) }} as variable,
        {% if kind.in_soil %}cast(layer_top_cm as double){% else %}cast(null as double){% endif %} as layer_top_cm,
        {% if kind.in_soil %}cast(layer_bottom_cm as double){% else %}cast(null as double){% endif %} as layer_bottom_cm,
        obs_time,
        coalesce({{ local_date('obs_time') }}, obs_date) as obs_date,
        cast(year as int) as year,
        cast(month as int) as month,
        {{ finite(kind.value) }} as value,
        cast({{ kind.lowest }} as double) as lowest,
        cast({{ kind.highest }} as double) as highest,
        {{ literal(kind.unit) }} as unit,
        quality
    from {{ read_lake('raw/' ~ product, partitioned=true) }}
    where {{ kind.value }} is not null
    {% if not (loop.last and outer.last) %}union all{% endif %}
    {% endfor %}
    {% else %}
    select
        cast(null as string) as product, cast(null as string) as station_id, cast(null as string) as sensor,
        cast(null as string) as variable, cast(null as double) as layer_top_cm, cast(null as double) as layer_bottom_cm,
        cast(null as timestamp) as obs_time, cast(null as date) as obs_date, cast(null as int) as year, cast(null as int) as month,
        cast(null as double) as value, cast(null as double) as lowest, cast(null as double) as highest, cast(null as string) as unit,
        cast(null as string) as quality
    where false
    {% endfor %}
)

select
    product,
    station_id,
    sensor,
    variable,
    case when layer_bottom_cm is null then 'surface' else {{ layer_name('layer_top_cm', 'layer_bottom_cm') }} end as layer,
    layer_top_cm,
    layer_bottom_cm,
    obs_time,
    obs_date,
    year,
    month,
    case
        when value between lowest and highest
            and (quality is null or quality in ({% for flag in study('station_quality') %}{{ literal(flag) }}{{ ', ' if not loop.last }}{% else %}cast(null as string){% endfor %}))
            then value
    end as value,
    unit,
    quality
from delivered
