"""A small database of marts whose every table says of which build it is: for what the snapshot and a publication do with any numbers."""

from __future__ import annotations

from pathlib import Path

import duckdb

from serving.dictionary import Described

N_PIXELS, N_MONTHS = 20, 6

DESCRIBED = {
    "dim_pixel": Described(
        "The pixels; 100 % of them.",
        ("grid_id", "pixel_id"),
        {"lon": "Longitude, degrees east.", "lat": "Latitude, degrees north."},
    ),
    "dim_station": Described("Stations.", ("station_id",), {"lon": "Longitude, degrees east."}),
    "dim_region_geometry": Described("Shapes.", ("region_id",), {"geometry_wkb_hex": "Shape."}),
    "fct_pixel_monthly": Described(
        "Months.", ("grid_id", "pixel_id", "month"), {"value": "The pixel's value, m3 m-3."}
    ),
    "fct_note": Described('Remarks; what\'s "quoted".', ("note_id",), {}),
}
TRIANGLE = (
    "01030000000100000004000000"
    "00000000000000000000000000000000"
    "00000000000000400000000000000000"
    "0000000000000040000000000000F03F"
    "00000000000000000000000000000000"
)


def build(database: Path, generation: int = 1, study: str = "small") -> Path:
    """A whole build: every table says its generation, and fct_pixel_monthly is generation + pixel_id / 1000 but in its first month.

    The first month is the same in every generation. fct_daily is a view on a file beside the database.
    """
    lake = database.with_name("daily.parquet")
    with duckdb.connect(str(database)) as connection:
        connection.execute(f"""
            create schema if not exists marts;
            create or replace table marts.dim_pixel as
                select '{study}' as study, 'g' as grid_id, i as pixel_id, 100 + i / 10 as lon, 40 - i / 10 as lat, {generation} as generation
                from range({N_PIXELS}) as r(i);
            create or replace table marts.dim_station as
                select '{study}' as study, 's1' as station_id, cast(100.5 as double) as lon, cast(39.5 as double) as lat, {generation} as generation
                union all select '{study}', 's2', null, null, {generation};
            create or replace table marts.dim_region_geometry as
                select '{study}' as study, 'a' as region_id, '{TRIANGLE}' as geometry_wkb_hex, {generation} as generation;
            create or replace table marts.fct_pixel_monthly as
                select '{study}' as study, 'g' as grid_id, p.i as pixel_id, cast(date '2020-01-01' + to_months(cast(m.i as integer)) as date) as month,
                    case when m.i = 0 then 0 else {generation} end + p.i / 1000 as value,
                    case when m.i = 0 then 0 else {generation} end as generation
                from range({N_PIXELS}) as p(i), range({N_MONTHS}) as m(i) order by hash(p.i, m.i);
            create or replace table marts.fct_note as
                select '{study}' as study, 1 as note_id, 'a, "b"' || chr(10) || 'c\\N' as note, cast(null as double) as x,
                    true as is_true, {generation} as generation
                union all select '{study}', 2, '', 1e-300, null, {generation}
                union all select '{study}', 3, null, cast(0.1 as double) + 0.2, false, {generation};
            create or replace table marts.fct_empty (study varchar, month date, value double);
            copy (select '{study}' as study, 1 as pixel_id, date '2020-01-01' as obs_date, {generation} as value) to '{lake}' (format parquet);
            create or replace view marts.fct_daily as select * from read_parquet('{lake}');
            create schema if not exists intermediate;
            create or replace table intermediate.int_secret as select 1 as a;
        """)
    return database
