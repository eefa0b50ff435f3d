-- Where each station lies on every grid: the pixel whose cell holds it, and how far the pixel's centre is. The nine cells around the nearest centre say, by a
-- line through their rows and columns each, at which row and column the station is; whatever the projection, that is exact to a few
-- thousandths of a cell. Where they are too few for that (the edge of a grid), the nearest pixel, unless it is farther than its cell can reach.
{{ config(enabled=needs('validation')) }}
with places as (
    select product, station_id, lon, lat
    from {{ read_lake('stations') }}
    where product in ({{ literals(validation_references()) }})
        and lon is not null and lat is not null
),

pixels as (
    select grid_id, pixel_id, row_index, col_index, lon, lat, sqrt(greatest(area_km2, 1e-12)) as side_km
    from {{ read_lake('grids/pixels') }}
    where grid_id in (select grid_id from {{ ref('int_series') }})
),

-- Kilometres east and north of the station, on a plane: exact enough for a few cells around it.
near as (
    select
        places.product,
        places.station_id,
        places.lon as station_lon,
        places.lat as station_lat,
        pixels.grid_id,
        pixels.pixel_id,
        pixels.row_index,
        pixels.col_index,
        pixels.side_km,
        111.195 * cos(radians(places.lat)) * (pixels.lon - places.lon - 360 * floor((pixels.lon - places.lon + 180) / 360)) as east_km,
        111.195 * (pixels.lat - places.lat) as north_km
    from places
    inner join pixels on abs(pixels.lat - places.lat) < 0.01 + pixels.side_km / 20
),

nearest as (
    select *, sqrt(east_km * east_km + north_km * north_km) as nearest_km
    from near
    where sqrt(east_km * east_km + north_km * north_km) <= 2 * side_km
    qualify row_number() over (partition by product, station_id, grid_id order by sqrt(east_km * east_km + north_km * north_km) nulls last, pixel_id nulls last) = 1
),

around as (
    select
        nearest.product,
        nearest.station_id,
        nearest.grid_id,
        nearest.pixel_id as nearest_pixel_id,
        nearest.nearest_km,
        nearest.side_km,
        near.pixel_id,
        near.row_index,
        near.col_index,
        near.station_lon,
        near.station_lat,
        near.east_km,
        near.north_km
    from nearest
    inner join near
        on nearest.product = near.product and nearest.station_id = near.station_id and nearest.grid_id = near.grid_id
        and abs(near.row_index - nearest.row_index) <= 1 and abs(near.col_index - nearest.col_index) <= 1
),

moments as (
    select
        product,
        station_id,
        grid_id,
        avg(east_km) as mean_east,
        avg(north_km) as mean_north,
        avg(cast(col_index as double)) as mean_col,
        avg(cast(row_index as double)) as mean_row,
        var_pop(east_km) as s_ee,
        var_pop(north_km) as s_nn,
        covar_pop(east_km, north_km) as s_en,
        covar_pop(east_km, cast(col_index as double)) as s_ec,
        covar_pop(north_km, cast(col_index as double)) as s_nc,
        covar_pop(east_km, cast(row_index as double)) as s_er,
        covar_pop(north_km, cast(row_index as double)) as s_nr
    from around
    group by product, station_id, grid_id
),

-- The station is at 0, 0 of the plane. NULL where the cells are in one line.
located as (
    select
        product,
        station_id,
        grid_id,
        mean_col - (mean_east * (s_ec * s_nn - s_nc * s_en) + mean_north * (s_nc * s_ee - s_ec * s_en)) / nullif(determinant, 0) as col_at,
        mean_row - (mean_east * (s_er * s_nn - s_nr * s_en) + mean_north * (s_nr * s_ee - s_er * s_en)) / nullif(determinant, 0) as row_at
    from (
        select *, case when s_ee * s_nn - s_en * s_en > 1e-9 * s_ee * s_nn then s_ee * s_nn - s_en * s_en end as determinant
        from moments
    ) as solvable
)

-- A station on the border of two cells is in the eastern, the southern one, as a pixel's centre is in weights between grids.
select
    around.product,
    around.station_id,
    around.grid_id,
    around.pixel_id,
    2 * 6371008.8 * asin(least(cast(1 as double), sqrt(greatest(
        power(sin(radians(around.north_km / 111.195) / 2), 2)
        + cos(radians(around.station_lat)) * cos(radians(around.station_lat + around.north_km / 111.195))
            * power(sin(radians(around.east_km / (111.195 * nullif(cos(radians(around.station_lat)), 0))) / 2), 2), 0)))) as distance_m
from around
inner join located
    on around.product = located.product and around.station_id = located.station_id and around.grid_id = located.grid_id
where case
    when located.col_at is not null
        then around.col_index = floor(located.col_at + 0.500001) and around.row_index = floor(located.row_at + 0.500001)
    else around.pixel_id = around.nearest_pixel_id and around.nearest_km <= 0.75 * around.side_km
end
