"""A miniature of a study's input: a lake with everything the study names, made up, over a small window and a few months.

Product definitions say which columns there are; what is in them is made up by their names, in the products' own units, so that the staging views let it pass.
Month files, catalogue and definitions are written by the lake's own writers; regions and stations go through their loaders.

The study file is the paper's own but for what `Miniature.changes` says: lengths that are wider than the miniature, and the size of what is fitted.
"""

from __future__ import annotations

import calendar
import json
import subprocess
import sys
import zlib
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from loaders.catalog import add_pixels, write_catalog, write_definition
from loaders.granule import Window
from loaders.grids import Grid
from loaders.lake import Lake
from loaders.month_file import (
    DenseBlock,
    Entry,
    Provenance,
    dense_schema,
    read_header,
    sort_sparse,
    sparse_schema,
    write_dense,
    write_sparse,
)
from loaders.products import Delivered, Product, Variable, all_products
from loaders.regions import load_regions, refresh_membership
from loaders.weights import refresh_weights
from soilhouse.study import Study

# Cells, in degrees, of products that lie on the grid of their files. Coarser than the real ones where these are finer than the study needs.
CELLS = {"era5_land_hourly": 0.1, "terraclimate_vpd": 1 / 24, "soilgrids": 0.01, "sentinel1_ascending": 0.005}
CELL = 0.01

COMPOSITES = {"mod09a1": 8, "mod15a2h": 8, "mod16a2": 8, "mod11a2": 8, "mod13a2": 16, "myd13a2": 16}


@dataclass(frozen=True)
class Own:
    """A product of the user's own: its grid, time step and columns with the range of their values."""

    grid: str
    time_step: str
    columns: dict[str, tuple[float, float]]
    is_classes: bool = False


@dataclass(frozen=True)
class Miniature:
    """Where a study is made small: the regions (id: west, south, east, north), the months that are loaded, the user's own products, and what the
    study file says otherwise (path below `study`, with the place in a list: value)."""

    regions: dict[str, tuple[float, float, float, float]]
    start: date
    end: date
    own: dict[str, Own]
    stations: dict[str, int]  # product of stations: how many in each region
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Around all regions, with a margin."""
        west, south, east, north = (f(r[i] for r in self.regions.values()) for i, f in enumerate((min, min, max, max)))
        return west - 0.15, south - 0.15, east + 0.15, north + 0.15


def write_study(file: Path, small: Miniature, to: Path) -> Path:
    """Write the study of `file` with the miniature's changes, and return where. Raises KeyError for a key on the way that is not there."""
    given = yaml.safe_load(file.read_text(encoding="utf-8"))
    for path, value in small.changes.items():
        *way, last = (int(key) if key.isdigit() else key for key in path.split("."))
        place = given["study"]
        for key in way:
            place = place[key]
        place[last] = value
    to.write_text(yaml.safe_dump(given, sort_keys=False), encoding="utf-8")
    return to


def put(study: Study, small: Miniature, lake: Lake) -> None:
    """Fill `lake` with the miniature of a study's inputs."""
    lake.init()
    for grid in study.grids:
        lake.register_grid(grid.grid())
    _put_regions(study, small, lake)
    products = all_products()
    named = {s.product for s in study.series} | {f.product for f in study.factors if f.column}
    named |= {m.split(".")[0] for s in study.series for m in s.mean_of or [] if "." in m}
    for name in sorted(named):
        if name in small.own:
            product = _own_product(name, small.own[name])
            write_definition(lake, product)
        else:
            product = products[name]
        _put_product(product, small, lake)
    for name, n in small.stations.items():
        _put_stations(name, n, small, lake)
    refresh_membership(lake)
    refresh_weights(lake)


def _put_regions(study: Study, small: Miniature, lake: Lake) -> None:
    if study.region.set is None:
        return
    features = [
        {
            "type": "Feature",
            "properties": {"id": name},
            "geometry": {"type": "Polygon", "coordinates": [[[w, s], [e, s], [e, n], [w, n], [w, s]]]},
        }
        for name, (w, s, e, n) in small.regions.items()
    ]
    path = lake.root.parent / "regions.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    load_regions(path, study.region.set, lake, id_column="id")


def _own_product(name: str, own: Own) -> Product:
    dtype = "int16" if own.is_classes else "float32"
    return Product(
        name=name,
        title=f"Simulated {name}",
        format="table",
        kind="gridded" if own.time_step == "static" else "table",
        grid=own.grid,
        time_step=own.time_step,
        variables=tuple(Variable(name=column, dtype=dtype, unit="1") for column in own.columns),
        delivers=tuple(Delivered(variable=column, unit="1") for column in own.columns),
        source="simulated",
    )


def _put_product(product: Product, small: Miniature, lake: Lake) -> None:
    name = product.name
    of_files = product.grid == "from_file"
    grid = lake.register_grid(_grid_of_files(name, small)) if of_files else lake.grid(product.grid)
    window = _window(grid, small.box)
    pixels = grid.window_pixel_ids(window).ravel()
    lon, lat = grid.lonlat_of(*grid.row_col(pixels))
    pixels, lon, lat = (a[np.isfinite(lon)] for a in (pixels, lon, lat))
    add_pixels(lake, grid, pixels, name)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    headers = {}
    for month in [None] if product.time_step == "static" else _months(small):
        steps = _steps(product, month)
        values = {v.name: _values(v, small, rng, lon, lat, steps, product).astype(v.dtype) for v in product.variables}
        path = lake.month_path(name, month)
        path.parent.mkdir(parents=True, exist_ok=True)
        days = tuple(dict.fromkeys(s.date() for s in steps)) if month is not None else ()
        is_dense = product.time_step != "instant"
        entry = Entry(
            f"{name}_{month}", f"{name}_{month}", "", "0" * 64, tuple(values), days, window if is_dense else None, 1
        )
        provenance = Provenance(name, grid.grid_id, "dense" if is_dense else "sparse", (entry,))
        if is_dense:
            block = DenseBlock(pixels, days, values, dict.fromkeys(values))
            write_dense(path, block, dense_schema(product, grid), provenance)
        else:
            write_sparse(path, _rows(product, grid, pixels, steps, values, entry.name), provenance)
        headers[month] = read_header(path)
    write_catalog(lake, product, grid.grid_id, headers)


def _rows(product: Product, grid: Grid, pixels, steps, values, granule: str) -> pa.Table:
    """Rows of a product with times of day, as a sparse file has them."""
    n = len(steps)
    times = np.array(steps, "datetime64[us]")
    table = pa.table(
        {
            "pixel_id": np.tile(pixels, n),
            "obs_date": pa.array(np.repeat(times.astype("datetime64[D]"), pixels.size)),
            "obs_time": pa.array(np.repeat(times, pixels.size)),
            **{name: v.ravel() for name, v in values.items()},
            "granule": pa.array([granule] * (n * pixels.size)),
        }
    ).cast(sparse_schema(product, grid))
    return sort_sparse(table, product, grid)


def _grid_of_files(name: str, small: Miniature) -> Grid:
    west, south, east, north = small.box
    cell = CELLS.get(name, CELL)
    left, top = np.floor(west / cell) * cell, np.ceil(north / cell) * cell
    return Grid(
        f"{name}_grid",
        "EPSG:4326",
        left,
        top,
        cell,
        cell,
        int(np.ceil((top - south) / cell)),
        int(np.ceil((east - left) / cell)),
    )


def _window(grid: Grid, box: tuple[float, float, float, float]) -> Window:
    """The cells under a box: its outline in the grid's projection."""
    west, south, east, north = box
    along = np.linspace(0, 1, 50)
    lon = np.concatenate([west + along * (east - west)] * 2 + [np.full(50, west), np.full(50, east)])
    lat = np.concatenate([np.full(50, south), np.full(50, north)] + [south + along * (north - south)] * 2)
    x, y = grid.xy_of_lonlat(lon, lat)
    col, row = np.floor((x - grid.left) / grid.cell_width), np.floor((grid.top - y) / grid.cell_height)
    first_col, last_col = (int(np.clip(f(col), 0, grid.n_cols - 1)) for f in (np.min, np.max))
    first_row, last_row = (int(np.clip(f(row), 0, grid.n_rows - 1)) for f in (np.min, np.max))
    return Window(first_row, first_col, last_row - first_row + 1, last_col - first_col + 1)


def _months(small: Miniature) -> list[date]:
    n = (small.end.year - small.start.year) * 12 + small.end.month - small.start.month
    return [
        date(small.start.year + (small.start.month - 1 + i) // 12, (small.start.month - 1 + i) % 12 + 1, 1)
        for i in range(n)
    ]


def _steps(product: Product, month: date | None) -> list[datetime]:
    """When a product has a value in a month: its hours, its days, the days its composites begin, or the first."""
    if month is None:
        return [datetime(2000, 1, 1)]
    first = datetime(month.year, month.month, 1)
    n = calendar.monthrange(month.year, month.month)[1]
    days = [first + timedelta(days=i) for i in range(n)]
    if product.time_step == "month":
        return [first]
    if product.name in COMPOSITES:
        starts = 8 if product.name.startswith("myd13") else 0
        return [d for d in days if (d.timetuple().tm_yday - 1 - starts) % COMPOSITES[product.name] == 0]
    if product.name == "sentinel1_ascending":
        return days[3::6]
    if product.name.startswith("spl2smap"):
        return [d + timedelta(hours=22) for d in days[1::6]]
    if product.time_step == "instant":
        hours = 3 if product.name.startswith("spl4") else 1
        return [d + timedelta(hours=h, minutes=90 if hours == 3 else 0) for d in days for h in range(0, 24, hours)]
    return days


def _values(variable: Variable, small: Miniature, rng, lon, lat, steps, product: Product) -> np.ndarray:
    """Steps x pixels of a column, in the product's own units: something smooth in space, the season, and noise."""
    name, own = variable.name, small.own.get(product.name)
    shape = (len(steps), lon.size)
    day = np.array([s.timetuple().tm_yday + s.hour / 24 for s in steps])[:, None]
    season = np.cos(2 * np.pi * (day - 200) / 365)
    hour = np.cos(2 * np.pi * (day % 1 - 0.25))  # warmest at 06 UTC, two in the afternoon in China
    place = np.sin(40 * lon) * np.cos(30 * lat)
    noise = rng.normal(0, 1, shape)
    mixed = 0.4 * place + 0.4 * season + 0.2 * noise  # about -1 to 1
    if own is not None:
        low, high = own.columns[name]
        if own.is_classes:  # a class is a region, and what is nearest to it
            middles = np.array([(south + north) / 2 for _, south, _, north in small.regions.values()])
            return np.broadcast_to(low + np.argmin(np.abs(lat[:, None] - middles), axis=1), shape)
        return low + (high - low) * np.clip(0.5 + 0.4 * mixed, 0, 1)
    kelvin = 291 + 9 * season + 3 * place + noise
    if name in ("lc_type1", "lc_type5"):
        classes = [1, 10, 10, 12, 12, 16] if name == "lc_type1" else [1, 6, 6, 7, 7, 9]
        return np.broadcast_to(np.array(classes)[((place + 1) / 2 * 5.99).astype(int)], shape)
    if name in ("composite_day_of_year", "sur_refl_day_of_year"):
        return np.broadcast_to(np.floor(day) + 3, shape)
    if "flag" in name or name.startswith(
        ("qc_", "quality", "pixel_reliability", "sur_refl_state", "vi_quality", "fparlai_qc", "et_qc")
    ):
        return np.zeros(shape)
    if name.startswith("sur_refl_b"):
        base = {"1": 900, "2": 3000, "3": 500, "4": 900, "5": 2500, "6": 2200, "7": 1200}[name[-1]]
        return base * (1 + 0.3 * mixed)
    if name.startswith(("lst_day", "lst_night")):
        return (kelvin + (10 if "day" in name else -8)) / 0.02
    if name in ("ndvi", "evi"):
        return 4000 + 2500 * mixed
    if name.startswith("albedo"):
        return 200 + 50 * mixed
    if name in ("lai", "fpar"):
        return 30 + 15 * mixed
    if name in ("et", "pet"):
        return 300 + 100 * mixed
    if name == "tp":
        daily = np.maximum(0.004 * (noise + 0.5), 0)
        if product.time_step != "instant":
            return daily
        # since 00 UTC: at 00 the whole day before
        since = (day % 1).round(6)
        return np.maximum(0.004 + 0.002 * place, 0) * np.where(since == 0, 1, since)
    if name == "precipitation":
        return np.maximum(6 * noise - 2, 0)
    if name.startswith(("t2m", "skt", "stl", "surface_temp", "soil_temp", "SoilTemp", "Tair")):
        return kelvin + (8 * hour if product.time_step == "instant" else 0)
    if name.startswith("Rainf"):
        return 3e-5 * (1 + 0.5 * mixed)
    if name.startswith("smci"):
        return 220 + 70 * mixed
    if variable.unit == "percent":
        return 25 + 10 * mixed
    if name in ("vv_db", "vh_db"):
        return (-11 if name == "vv_db" else -17) + 2 * mixed
    if name == "vpd":
        return 90 + 40 * mixed
    if name.startswith(("bdod", "soc", "clay", "sand", "silt")):
        return 130 + 40 * mixed
    if name == "d1_bulk_density":
        return 1.3 + 0.2 * mixed
    return 0.22 + 0.08 * mixed  # soil moisture, and what staging does not read


def _put_stations(name: str, n: int, small: Miniature, lake: Lake) -> None:
    """Stations of a plain table with a value a day at 0-5 cm and 0-10 cm."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    folder = lake.root.parent / name
    folder.mkdir()
    stations, rows = ["station_id,network,name,lon,lat,elevation_m,land_cover,method"], []
    n_days = (small.end - small.start).days
    for region, (west, south, east, north) in small.regions.items():
        for i in range(n):
            lon, lat = rng.uniform(west, east), rng.uniform(south, north)
            stations.append(f"{region}{i},{name},{region} {i},{lon:.4f},{lat:.4f},500,grassland,probe")
            for d in range(n_days):
                day = small.start + timedelta(days=d)
                moisture = 0.22 + 0.05 * np.cos(2 * np.pi * (day.timetuple().tm_yday - 200) / 365) + rng.normal(0, 0.03)
                rows += [f"{region}{i},{day},0,{depth},{moisture:.4f},G" for depth in (5, 10)]
    (folder / "stations.csv").write_text("\n".join(stations) + "\n", encoding="utf-8")
    (folder / "observations.csv").write_text(
        "\n".join(["station_id,date,layer_top_cm,layer_bottom_cm,soil_moisture_m3m3,quality", *rows]) + "\n",
        encoding="utf-8",
    )
    files = [folder / "stations.csv", folder / "observations.csv"]
    command = [
        Path(sys.executable).with_name("soilhouse"),
        "load",
        "stations",
        *files,
        "--as",
        name,
        "--lake",
        lake.root,
    ]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _strips(west: float, south: float, width: float, height: float, names: tuple[str, ...]) -> dict:
    return {name: (west, south + i * height, west + width, south + (i + 1) * height) for i, name in enumerate(names)}


TERRAIN = {
    "elevation": (900.0, 3200.0),
    "slope": (0.0, 30.0),
    "aspect": (0.0, 359.0),
    "aspect_octant": (1.0, 8.0),
    "northness": (-1.0, 1.0),
    "eastness": (-1.0, 1.0),
    "wetness_index": (3.0, 15.0),
}


MINIATURES = {
    "heihe": Miniature(
        _strips(99.5, 38.5, 0.5, 0.25, ("upper", "middle", "lower")),
        date(2020, 6, 1),
        date(2020, 8, 1),
        {
            "heihe_terrain": Own("heihe_1km", "static", TERRAIN),
            "heihe_soil_hydraulics": Own(
                "heihe_1km", "static", {"field_capacity": (0.2, 0.4), "saturated_conductivity": (5.0, 90.0)}
            ),
            "heihe_fvc": Own("heihe_1km", "month", {"fvc": (0.1, 0.9)}),
        },
        {},
        # A point every 8 km and distances of hundreds of kilometres leave nothing of forty.
        {
            "sampling.spacing_m": 3000,
            "variograms.cutoff_m": 30000,
            "variograms.range_bound_m": 60000,
            "drivers.permutations": 9,
        },
    ),
    "qilian": Miniature(
        _strips(98.0, 37.5, 0.6, 0.6, ("all",)),
        date(2017, 1, 1),
        date(2022, 1, 1),
        {
            "qilian_terrain": Own("latlon_0p05", "static", TERRAIN | {"elevation": (2500.0, 4200.0)}),
            "qilian_soil_moisture": Own("latlon_0p05", "day", {"soil_moisture": (0.06, 0.24)}),
            "qilian_climate": Own("latlon_0p1", "month", {"temperature": (-18.0, 12.0), "precipitation": (0.0, 90.0)}),
            "qilian_ndvi": Own("latlon_0p05", "month", {"ndvi": (0.1, 0.8)}),
        },
        {},
    ),
    "helan": Miniature(
        _strips(105.5, 37.5, 0.2, 0.1, ("weining", "yinchuan")),
        date(2000, 1, 1),
        date(2004, 1, 1),
        {},
        {},
        {"period.end": date(2004, 1, 1)},
    ),
    "anhui": Miniature(
        _strips(116.0, 31.0, 0.4, 0.15, ("HB", "JH", "YJ", "WX", "WN")),
        date(2019, 4, 1),
        date(2019, 6, 1),
        {
            "anhui_terrain": Own("anhui_1km", "static", TERRAIN | {"elevation": (5.0, 900.0)}),
            "anhui_unit_map": Own("anhui_1km", "static", {"unit": (1, 5)}, is_classes=True),
        },
        {"anhui_stations": 2},
        {
            "downscaling.frameworks.0.hyperparameters": {
                "xgb": {"n_estimators": [30], "max_depth": [4], "learning_rate": [0.2]},
                "lightgbm": {"n_estimators": [30], "num_leaves": [15], "learning_rate": [0.2]},
                "catboost": {"iterations": [30], "depth": [4], "learning_rate": [0.2]},
            },
            "downscaling.frameworks.0.folds": 3,
            "downscaling.frameworks.0.permutations": 1,
            "downscaling.frameworks.0.shap_samples": 40,
        },
    ),
    "northern_china": Miniature(
        _strips(105.0, 38.0, 0.9, 0.45, ("alashan", "ordos")),
        date(2015, 4, 1),
        date(2015, 6, 1),
        {"northern_terrain": Own("northern_1km", "static", TERRAIN)},
        {"maqu": 3, "babao": 3},
        {
            "period.end": date(2015, 7, 1),
            "downscaling.frameworks.0.hyperparameters": {
                "svr": {"C": [1]},
                "ann": {"hidden_layer_sizes": [[8]], "solver": ["lbfgs"], "max_iter": [100]},
                "rf": {"n_estimators": [20], "min_samples_leaf": [1, 3]},
                "xgb": {"n_estimators": [20], "max_depth": [3]},
            },
            "downscaling.frameworks.0.folds": 3,
            "downscaling.frameworks.0.permutations": 1,
        },
    ),
}
