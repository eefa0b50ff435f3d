-- Which zone each pixel of a series lies in.
{{ config(enabled=needs('patterns')) }}
select
    pixels.series_id,
    pixels.factor,
    pixels.pixel_id,
    zones.zone_number,
    pixels.area_km2
from {{ ref('int_zone_value') }} as pixels
inner join {{ ref('int_zone') }} as zones
    on pixels.series_id = zones.series_id
    and pixels.factor = zones.factor
    and (
        pixels.value = zones.class_value
        or (
            zones.class_value is null
            and (zones.lower is null or pixels.value > zones.lower or (zones.zone_number = 1 and pixels.value = zones.lower))
            and (zones.upper is null or pixels.value <= zones.upper)
        )
    )
