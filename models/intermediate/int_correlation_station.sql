-- Correlations at stations: their monthly means against the factors at the pixel, of each factor's own grid, whose centre is nearest. A
-- pixel farther away than the side of its cell is another place: a station outside a grid has no value of it. Stations are no series of the
-- study: their number is 0.
{{ config(enabled=needs('drivers')) }}
{% set numbers = [0] + correlation_series(with_targets=false) %}
{% set is_asked = 'station' in study('correlations').unit_kinds and 'soil_moisture' in study('correlations').targets %}
with stations as (
    select
        product,
        station_id,
        layer,
        cast(year(obs_date) as int) as year,
        cast(month(obs_date) as int) as month_number,
        count(*) as n_days,
        bit_count(bit_or(case when day(obs_date) <= 10 then 1 when day(obs_date) <= 20 then 2 else 4 end)) as n_dekads,
        {{ mean('soil_moisture_m3m3') }} as value
    from {{ ref('int_station_daily') }}
    where soil_moisture_m3m3 is not null
        and {{ 'true' if is_asked else 'false' }}
    group by product, station_id, layer, year(obs_date), month(obs_date)
),

places as (
    select product, station_id, lon, lat from {{ read_lake('stations') }}
    where product in ({{ literals(study('stations')) }})
),

-- Kilometres on a plane around the station: exact enough to tell which of a few neighbouring centres is nearest.
near as (
    select
        places.product,
        places.station_id,
        pixels.grid_id,
        pixels.pixel_id,
        sqrt(
            power(111.195 * (pixels.lat - places.lat), 2)
            + power(111.195 * cos(radians(places.lat)) * least(abs(pixels.lon - places.lon), 360 - abs(pixels.lon - places.lon)), 2)
        ) as distance_km,
        sqrt(greatest(pixels.area_km2, 0)) as side_km
    from places
    inner join {{ read_lake('grids/pixels') }} as pixels on abs(pixels.lat - places.lat) < 1 + sqrt(greatest(pixels.area_km2, 0)) / 100
    where pixels.grid_id in (select grid_id from {{ ref('int_series') }} where series_id in ({{ numbers | join(', ') }}))
),

nearest as (
    select product, station_id, grid_id, pixel_id
    from near
    where distance_km <= side_km
    qualify row_number() over (partition by product, station_id, grid_id order by distance_km nulls last, pixel_id nulls last) = 1
),

values_of_all as (
    select product, station_id, layer, year, month_number, 0 as series_id, value
    from stations
    where n_days >= {{ study('coverage').min_days }} and n_dekads >= {{ study('coverage').min_dekads }}
    union all
    select stations.product, stations.station_id, stations.layer, monthly.year, monthly.month_number, monthly.series_id, monthly.value
    from (select distinct product, station_id, layer from stations) as stations
    inner join nearest on stations.product = nearest.product and stations.station_id = nearest.station_id
    inner join {{ ref('int_series') }} as series on nearest.grid_id = series.grid_id
    inner join {{ ref('int_monthly') }} as monthly on series.series_id = monthly.series_id and nearest.pixel_id = monthly.pixel_id
    where monthly.series_id in ({{ numbers | join(', ') }})
),

months as (
    select
        product,
        station_id,
        layer,
        year,
        month_number
        {{ side_by_side(numbers) }}
    from values_of_all
    group by product, station_id, layer, year, month_number
),

targets as (
    select 0 as series_id
),

{{ correlation_observations(['product', 'station_id', 'layer'], numbers, [0], 'true') }}

{{ correlation_statistics(['product', 'station_id', 'layer']) }}
