"""The simulated basin: what is said to be planted in it can be found in its files.

The files are read here with rasterio, h5py and csv, and analysed with NumPy and SciPy; none of the simulator's code is
used to find what the simulator says is there.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import re
import subprocess
import sys
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import rasterio.features
import yaml
from pyproj import Geod, Transformer
from scipy.optimize import curve_fit
from scipy.stats import theilslopes

from loaders.simulate import Load, Truth, loads, simulate
from loaders.simulate.basin import Planted, build_world
from loaders.simulate.fields import Variogram, gaussian_fields
from tests.conftest import count_cases

GROUP = "Soil_Moisture_Retrieval_Data"
SHORT = {"start": date(2019, 6, 1), "stop": date(2019, 8, 1)}
REACHES = ("upper", "middle", "lower")


class Files:
    """A folder of the simulated basin, read without the simulator's code."""

    def __init__(self, folder: Path, truth: Truth) -> None:
        self.folder, self.truth = folder, truth

    def maps(self, name: str) -> np.ndarray:
        """(files, bands, rows, columns), in the order of names."""
        stack = []
        for path in sorted((self.folder / name).glob("*.tif")):
            with rasterio.open(path) as file:
                stack.append(file.read())
        return np.stack(stack)

    @cached_property
    def dates(self) -> np.ndarray:
        names = sorted(path.stem for path in (self.folder / "soil_moisture_1km").glob("*.tif"))
        return np.array([f"{n[-8:-4]}-{n[-4:-2]}-{n[-2:]}" for n in names], dtype="datetime64[D]")

    @cached_property
    def soil_moisture(self) -> np.ndarray:
        packed = self.maps("soil_moisture_1km")[:, 0]
        return np.where(packed == -9999, np.nan, packed / 10_000)

    @cached_property
    def monthly(self) -> np.ndarray:
        month = self.dates.astype("datetime64[M]")
        return np.stack([self.soil_moisture[month == m].mean(axis=0) for m in np.unique(month)])

    @cached_property
    def regions(self) -> dict[str, np.ndarray]:
        """Cells whose centre lies in each polygon, without water."""
        collection = json.loads((self.folder / "regions" / "basin.geojson").read_text())
        with rasterio.open(next((self.folder / "land_cover").glob("*.tif"))) as file:
            transform, shape, crs, cover = file.transform, file.shape, file.crs, file.read(1)
        project = Transformer.from_crs(4326, crs, always_xy=True)
        masks = {}
        for feature in collection["features"]:
            ring = np.array(feature["geometry"]["coordinates"][0])
            polygon = {
                "type": "Polygon",
                "coordinates": [np.column_stack(project.transform(*ring.T)).tolist()],
            }
            inside = rasterio.features.rasterize([polygon], shape, transform=transform)
            masks[feature["properties"]["region_id"]] = (inside == 1) & (cover != 17)
        return masks

    @cached_property
    def granules(self) -> list[dict[str, np.ndarray]]:
        found = []
        for path in sorted((self.folder / "soil_moisture_36km").glob("*.h5")):
            with h5py.File(path) as file:
                found.append({"name": path.name, **{name: node[...] for name, node in file[GROUP].items()}})
        return found

    def rows(self, name: str) -> list[dict[str, str]]:
        with (self.folder / "stations" / name).open(newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def basin(tmp_path_factory) -> Files:
    """The basin of the demo, all three years."""
    folder = tmp_path_factory.mktemp("basin")
    return Files(folder, simulate(folder))


@pytest.fixture(scope="module")
def short(tmp_path_factory) -> Files:
    """Two months of it, the radiometer's outage among them."""
    folder = tmp_path_factory.mktemp("short")
    return Files(folder, simulate(folder, **SHORT))


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# -- files --------------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes(short, tmp_path):
    first = digests(short.folder)
    simulate(tmp_path / "again", **SHORT)
    assert digests(tmp_path / "again") == first
    daily, composites, months, overpasses, static, stations, regions, mappings = 6 * 61, 4, 2 * 2, 10, 4, 2, 1, 12
    expected = daily + composites + months + overpasses + static + stations + regions + mappings
    assert len(first) == expected + len(("truth.json", "SIMULATED.txt"))


def test_another_seed_gives_another_world(short, tmp_path):
    first = digests(short.folder)
    simulate(tmp_path, seed=7, **SHORT)
    changed = {name for name, digest in digests(tmp_path).items() if first.get(name) != digest}
    assert {"truth.json", "elevation/elevation.tif", "soil_moisture_1km/soil_moisture_20190601.tif"} <= changed


def test_a_folder_is_simulated_anew_but_nothing_of_others_is_removed(tmp_path):
    progress = []
    window = {"start": date(2019, 1, 1), "stop": date(2019, 2, 1)}
    simulate(tmp_path, progress=lambda what, done, total: progress.append((done, total)), **window)
    (tmp_path / "ndvi" / "left_over.tif").write_bytes(b"")
    (tmp_path / "truth.json").unlink()  # as an interrupted simulation leaves it
    simulate(tmp_path, **window)
    assert not (tmp_path / "ndvi" / "left_over.tif").exists()
    assert progress == sorted(progress) and progress[-1] == (13, 13)
    (tmp_path / "mine.csv").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"mine\.csv"):
        simulate(tmp_path, **window)
    other = tmp_path / "other"
    (other / "stations").mkdir(parents=True)
    with pytest.raises(FileExistsError, match="empty folder"):
        simulate(other, **window)
    assert (tmp_path / "mine.csv").read_text() == "years of work" and (tmp_path / "truth.json").exists()


def test_every_file_says_that_it_is_simulated(short):
    n = 0
    for path in sorted(short.folder.rglob("*")):
        if path.suffix == ".tif":
            with rasterio.open(path) as file:
                assert file.tags()["SIMULATED"].startswith("SIMULATED")
        elif path.suffix == ".h5":
            with h5py.File(path) as file:
                assert file.attrs["SIMULATED"].startswith(b"SIMULATED")
        elif path.name == "observations.csv":
            assert {row["station_id"][:4] for row in short.rows(path.name)} == {"SIM-"}
        elif path.is_file():
            assert "SIMULATED" in path.read_text(), path
        n += path.is_file()
    assert n > 200
    assert {row["network"] for row in short.rows("stations.csv")} == {"SIMULATED"}


def test_the_truth_is_written_beside_the_files(short):
    assert Truth.read(short.folder / "truth.json") == short.truth


def test_the_demo_basin_is_light(basin):
    sizes = [path.stat().st_size for path in basin.folder.rglob("*") if path.is_file()]
    assert sum(sizes) < 75e6
    n = {d.name: len(list(d.iterdir())) for d in basin.folder.iterdir() if d.is_dir()}
    assert n["soil_moisture_1km"] == n["precipitation"] == 1096
    assert n["soil_moisture_field"] == n["soil_moisture_layers"] == 36 and n["ndvi"] == 69


def test_no_reader_of_the_warehouse_is_used(tmp_path):
    script = (
        "import sys; from datetime import date; from loaders.simulate import simulate;"
        f"simulate({str(tmp_path)!r}, start=date(2019, 1, 1), stop=date(2019, 2, 1));"
        "print([m for m in sys.modules if m.startswith(('loaders.', 'udfs', 'soilhouse'))"
        " and not m.startswith('loaders.simulate')])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_fine_files_lie_on_the_1km_grid_and_nest_in_two_by_two_coarse_cells(short):
    cell = 36032.220840584 / 36
    for name in (
        *("soil_moisture_1km", "soil_moisture_field", "soil_moisture_layers", "ndvi"),
        *("land_surface_temperature", "elevation"),
    ):
        with rasterio.open(next((short.folder / name).glob("*.tif"))) as file:
            assert file.crs.to_epsg() == 6933 and file.shape == (72, 72)
            column = (file.transform.c + 17367530.4451615) / cell
            row = (7314540.8306386 - file.transform.f) / cell
            assert file.transform.a == -file.transform.e == pytest.approx(cell, rel=1e-14)
        assert (column, row) == pytest.approx((26964, 2700), abs=1e-7)
        assert round(column) % 36 == round(row) % 36 == 0
    assert (short.truth.window["row"], short.truth.window["column"]) == (2700, 26964)


def test_precipitation_has_the_form_of_chirps(short):
    path = short.folder / "precipitation" / "chirps-v2.0.2019.06.01.tif"
    with rasterio.open(path) as file:
        assert (file.dtypes, file.nodata, file.crs.to_epsg()) == (("float32",), -9999.0, 4326)
        assert file.transform.a == float(np.float32(0.05)) != 0.05
        west, north = (file.transform.c + 180) / 0.05, (50 - file.transform.f) / 0.05
        assert (west, north) == pytest.approx((round(west), round(north)), abs=1e-6)
        bounds = file.bounds
    left, bottom, right, top = short.truth.window["bbox"]
    assert bounds.left <= left and bounds.right >= right and bounds.bottom <= bottom and bounds.top >= top


def test_regions_are_nested_smaller_than_the_window_and_made_of_whole_pixels(basin):
    collection = json.loads((basin.folder / "regions" / "basin.geojson").read_text())
    project = Transformer.from_crs(4326, 6933, always_xy=True)
    cell = 36032.220840584 / 36
    for feature in collection["features"]:
        lon, lat = np.array(feature["geometry"]["coordinates"][0]).T
        assert (lon[0], lat[0]) == (lon[-1], lat[-1])
        signed_area = (lon[:-1] * lat[1:] - lon[1:] * lat[:-1]).sum() / 2
        assert signed_area > 0, "outer rings go counter-clockwise"
        x, y = project.transform(lon, lat)
        columns, rows = (x + 17367530.4451615) / cell, (7314540.8306386 - y) / cell
        for place in (columns, rows):
            away = np.abs(place - np.round(place))
            # 1 cm inside the pixels' edges at every corner; PROJ goes to degrees and back within 1 mm
            assert away == pytest.approx(1e-5, abs=2e-6)
        assert columns.min() > 26964 + 3 and columns.max() < 26964 + 72 - 3
        assert rows.min() > 2700 + 3 and rows.max() < 2700 + 72 - 3
        n_cells = abs((columns[:-1] * rows[1:] - columns[1:] * rows[:-1]).sum() / 2)
        mask = basin.regions[feature["properties"]["region_id"]]
        n_water = int((basin.maps("land_cover")[0, 0] == 17).sum())
        assert mask.sum() <= n_cells + 0.1 <= mask.sum() + n_water + 0.1
    whole = np.zeros((72, 72), dtype=int)
    for reach in REACHES:
        whole += basin.regions[reach]
    assert np.array_equal(whole == 1, basin.regions["basin"]) and whole.max() == 1
    assert {r: int(m.sum()) for r, m in basin.regions.items()} == {
        r: v["n_pixels"] for r, v in basin.truth.regions.items()
    }


# -- planted numbers ----------------------------------------------------------------------------------------------------


def test_trends_of_the_reaches(basin):
    t = np.arange(36) / 12
    for reach, planted in zip(REACHES, (-0.03, 0.0, 0.02), strict=True):
        said = basin.truth.trends[reach]
        assert said["planted_slope_per_year"] == planted
        series = basin.monthly[:, basin.regions[reach]]
        found = theilslopes(series.mean(axis=1), t).slope
        assert found == pytest.approx(said["expected_sen_slope_per_year"], abs=2e-6)
        assert found == pytest.approx(planted, abs=0.002)
        slopes = np.median(
            [(series[j] - series[i]) / (t[j] - t[i]) for i in range(36) for j in range(i + 1, 36)], axis=0
        )
        assert slopes[::100] == pytest.approx([theilslopes(pixel, t).slope for pixel in series.T[::100]], rel=1e-9)
        assert np.median(slopes) == pytest.approx(said["expected_median_pixel_slope_per_year"], abs=1e-5)
        assert np.median(slopes) == pytest.approx(planted, abs=0.002)
    assert basin.truth.trends["upper"]["expected_significant_fraction"] > 0.99
    assert basin.truth.trends["lower"]["expected_significant_fraction"] > 0.75
    assert basin.truth.trends["middle"]["expected_significant_fraction"] < 0.05


def test_fractions_of_significant_pixels(basin):
    from scipy.stats import norm

    n, t = 36, np.arange(36)
    for reach in REACHES:
        series = basin.monthly[:, basin.regions[reach]]
        s = sum(np.sign(series[j] - series[i]) for i in t for j in range(i + 1, n))
        z = (s - np.sign(s)) / np.sqrt(n * (n - 1) * (2 * n + 5) / 18)
        fraction = (2 * norm.sf(np.abs(z)) < 0.05).mean()
        # rounding to 1e-4 makes a tie here and there, which can move a pixel that stands at the border
        assert fraction == pytest.approx(basin.truth.trends[reach]["expected_significant_fraction"], abs=0.005)


def test_variogram_of_the_planted_field(basin):
    """Matheron's estimator over all pairs up to 15 km, mean of 36 months, distances geodesic."""
    fields = basin.maps("soil_moisture_field")[:, 0] / 100_000
    with rasterio.open(next((basin.folder / "soil_moisture_field").glob("*.tif"))) as file:
        to_lonlat = Transformer.from_crs(file.crs, 4326, always_xy=True)
        lon, lat = to_lonlat.transform(*(file.transform @ (36.5, 36.5)))
        lon_1, lat_1 = to_lonlat.transform(*(file.transform @ (37.5, 37.5)))
    geod = Geod(ellps="WGS84")
    width, height = geod.inv(lon, lat, lon_1, lat)[2], geod.inv(lon, lat, lon, lat_1)[2]
    said = basin.truth.variogram
    assert (said["cell_width_m"], said["cell_height_m"]) == pytest.approx((width, height), rel=1e-3)
    lags, gammas, pairs = [], [], []
    for down in range(14):
        for right in range(-17, 18):
            lag = np.hypot(down * height, right * width)
            if (down == 0 and right <= 0) or lag > 15_000:
                continue
            a = fields[:, : 72 - down, max(0, -right) : 72 - max(0, right)]
            b = fields[:, down:, max(0, right) : 72 - max(0, -right)]
            lags.append(lag)
            gammas.append(((a - b) ** 2).mean() / 2)
            pairs.append(a.size)

    def model(h, nugget, partial_sill, range_km):
        return nugget + partial_sill * (1 - np.exp(-h / range_km))

    (nugget, partial_sill, range_km), _ = curve_fit(
        model, np.array(lags) / 1000, np.array(gammas) * 1e4, (0.1, 0.5, 2), 1 / np.sqrt(pairs)
    )
    assert (nugget * 1e-4, partial_sill * 1e-4) == pytest.approx((said["nugget"], said["partial_sill"]), rel=0.08)
    assert range_km * 1000 == pytest.approx(said["range_m"], rel=0.08)
    assert (said["nugget"], said["partial_sill"], said["range_m"]) == (2e-5, 1e-4, 4000)
    assert said["effective_range_m"] == 12_000 and said["sill"] == pytest.approx(1.2e-4)
    assert fields.var() == pytest.approx(said["sill"], rel=0.08)


def test_the_planted_field_is_part_of_soil_moisture(basin):
    fields = basin.maps("soil_moisture_field")[:, 0] / 100_000
    inside = basin.regions["middle"] & (basin.maps("land_cover")[0, 0] != 11)  # the stable wetlands have no season
    moisture = basin.monthly[:, inside] - basin.monthly[:, inside].mean(axis=0)
    field = fields[:, inside] - fields[:, inside].mean(axis=0)
    for month in range(36):
        assert np.corrcoef(moisture[month], field[month])[0, 1] > 0.8


def profile_of(basin: Files) -> np.ndarray:
    """(years, months, layers, rows, columns): 0-10, 10-30 (the mean of two), 30-40, 40-50 cm, from the files."""
    packed = basin.maps("soil_moisture_layers")
    layers = np.where(packed == -9999, np.nan, packed / 10_000)
    profile = np.stack([layers[:, 0], (layers[:, 1] + layers[:, 2]) / 2, layers[:, 3], layers[:, 4]], axis=1)
    return profile.reshape(3, 12, *profile.shape[1:])


def as_pattern(means: np.ndarray) -> str:
    return ">".join(sign for sign, _ in itertools.groupby("deficit" if x < 0 else "surplus" for x in means))


def test_depth_patterns_by_year(basin):
    """Each pixel against its own calendar months."""
    months = profile_of(basin)
    index = ((months - months.mean(axis=0)) / months.std(axis=0, ddof=1)).mean(axis=1)
    depth = basin.truth.depth
    for region, mask in basin.regions.items():
        for i, year in enumerate(("2018", "2019", "2020")):
            means = index[i][:, mask].mean(axis=1)
            assert means == pytest.approx(depth["expected_mean_ssmi"][region][year], abs=0.003)
            assert as_pattern(means) == depth["expected_pattern"][region][year]
            if region in REACHES:
                assert as_pattern(means) == depth["planted_pattern"][region][year]
                assert np.abs(means).min() > 0.5
    assert depth["planted_pattern"]["upper"]["2019"] == "deficit>surplus>deficit"


def test_depth_patterns_of_the_whole_record(basin):
    """Each layer against all pixels and months of the basin."""
    months = profile_of(basin)
    inside = months[..., basin.regions["basin"]]
    depth = basin.truth.depth
    for reach in REACHES:
        values = months[..., basin.regions[reach]]
        means = (values.mean(axis=(0, 1, 3)) - inside.mean(axis=(0, 1, 3))) / inside.std(axis=(0, 1, 3))
        assert means == pytest.approx(depth["expected_mean_ssmi"][reach]["all"], abs=0.003)
        assert as_pattern(means) == depth["expected_pattern"][reach]["all"] == depth["planted_offset_pattern"][reach]


def test_two_months_have_no_expected_depth_pattern(short):
    assert short.truth.depth["expected_pattern"] is None
    assert short.truth.depth["planted_pattern"]["upper"] == {"2019": "deficit>surplus>deficit"}


def test_drivers_have_their_shares_of_the_variance(basin):
    inside = basin.regions["basin"]
    said = basin.truth.drivers
    mean_map = basin.monthly.mean(axis=0)[inside]
    cover = basin.maps("land_cover")[0, 0][inside]

    def q(values):
        between = sum((cover == c).sum() * (values[cover == c].mean() - values.mean()) ** 2 for c in np.unique(cover))
        return between / ((values - values.mean()) ** 2).sum()

    factors = {
        "elevation": basin.maps("elevation")[0, 0],
        "clay": basin.maps("soil_texture")[0, 1],
        "ndvi": basin.maps("ndvi")[:, 0].mean(axis=0),
    }
    assert q(mean_map) == pytest.approx(said["expected_q_land_cover"], abs=1e-4)
    assert q(mean_map) == pytest.approx(said["variance_shares"]["land_cover"], abs=0.01)
    assert said["variance_shares"]["land_cover"] == 0.45 == max(said["variance_shares"].values())
    assert sum(said["variance_shares"].values()) == pytest.approx(1)
    for name, values in factors.items():
        found = np.corrcoef(mean_map, values[inside])[0, 1] ** 2
        assert found == pytest.approx(said[f"expected_r2_{name}"], abs=2e-3)
        assert found == pytest.approx(said["variance_shares"][name], abs=0.02)
        assert q(values[inside].astype(float)) < 1e-3, "no factor says anything about another"
    for month, by_month in zip(basin.monthly, said["expected_q_land_cover_by_month"].values(), strict=True):
        assert q(month[inside]) == pytest.approx(by_month, abs=3e-4)


def test_stable_pixels_are_the_only_stable_ones(basin):
    said = basin.truth.temporal_stability
    sd = basin.monthly.std(axis=0, ddof=1)
    rows, columns = np.array(said["cells"]).T - np.array([[2700], [26964]])
    stable = np.zeros((72, 72), dtype=bool)
    stable[rows, columns] = True
    assert stable.sum() == 36
    others = basin.regions["basin"] & ~stable
    assert sd[stable].max() == pytest.approx(said["expected_highest_stable_sd"], abs=1e-5)
    assert sd[others].min() == pytest.approx(said["expected_lowest_other_sd"], abs=1e-5)
    assert sd[stable].max() < 0.02 and sd[others].min() > 0.03  # below 0.03 is the class `excellent`


def test_rain_wets_the_soil(basin):
    rain = basin.maps("precipitation")[:, 0].mean(axis=(1, 2), dtype=float)
    moisture = basin.soil_moisture[:, basin.regions["basin"]].mean(axis=1)
    events = basin.truth.rain_events
    assert len(events) > 10
    for event in events:
        day = int(np.searchsorted(basin.dates, np.datetime64(event["date"])))
        assert rain[day] == pytest.approx(event["rain_mm"], rel=1e-5) and rain[day - 4 : day].sum() < 1
        assert moisture[day] - moisture[day - 1] == pytest.approx(event["expected_rise"], abs=1e-5)
        assert event["expected_rise"] > 0.008
    # within a month the field is constant: what is left follows the store r[d] = memory r[d-1] + gain rain[d]
    store = np.zeros(len(rain))
    for day in range(1, len(rain)):
        store[day] = 0.85 * store[day - 1] + 0.0015 * rain[day]
    same_month = np.diff(basin.dates.astype("datetime64[M]").astype(int)) == 0
    slope = np.polyfit(np.diff(store)[same_month], np.diff(moisture)[same_month], 1)[0]
    assert slope == pytest.approx(1, abs=0.05)
    # and each pixel follows the rain of its own 0.05 degree cell: on the day after none and of much, nothing is left over
    with rasterio.open(next((basin.folder / "precipitation").glob("*.tif"))) as file:
        rain_transform = file.transform
    left, bottom, right, top = basin.truth.window["bbox"]
    fine = np.argwhere(basin.regions["middle"] & (basin.maps("land_cover")[0, 0] != 11))
    lon = left + (fine[:, 1] + 0.5) / 72 * (
        right - left
    )  # columns are evenly spaced in longitude, rows almost in latitude
    lat = top - (fine[:, 0] + 0.5) / 72 * (top - bottom)
    cells = tuple(np.array(~rain_transform @ (lon, lat))[::-1].astype(int))
    by_cell = basin.maps("precipitation")[:, 0][:, *cells]
    wet = np.flatnonzero(same_month & (rain[:-1] == 0) & (rain[1:] > 15)) + 1
    rise = (basin.soil_moisture[wet] - basin.soil_moisture[wet - 1])[:, fine[:, 0], fine[:, 1]]
    left_over = rise - 0.0015 * by_cell[wet]
    assert (left_over.std(axis=1) < 0.004).all() and (rise.std(axis=1) > 0.005).all()
    assert basin.truth.rain_response == {"gain_per_mm": 0.0015, "memory_per_day": 0.85}


def test_surface_temperature_follows_the_planted_thermal_inertia(basin):
    paths = sorted((basin.folder / "land_surface_temperature").glob("*.tif"))
    at = np.searchsorted(basin.dates, [np.datetime64(f"{p.stem[4:8]}-{p.stem[8:10]}-{p.stem[10:]}") for p in paths])
    packed = basin.maps("land_surface_temperature")
    assert packed.dtype == np.uint16
    clear = (packed != 0).all(axis=1) & ~np.isnan(basin.soil_moisture[at])
    assert 0.3 < clear.mean() < 0.6, "clouds cover a good part of the maps"
    difference = (packed[:, 0].astype(float) - packed[:, 1]) * 0.02
    cover = basin.maps("land_cover")[0, 0]
    by_name = basin.truth.thermal_inertia["land_cover"]
    for igbp, name in ((1, "evergreen needleleaf forest"), (10, "grassland"), (12, "cropland"), (16, "barren")):
        use = clear & (cover == igbp)
        slope, intercept = np.polyfit(basin.soil_moisture[at][use], difference[use], 1)
        assert (-slope, intercept) == pytest.approx((by_name[name]["slope_k"], by_name[name]["intercept_k"]), rel=0.01)
        rest = difference[use] - (slope * basin.soil_moisture[at][use] + intercept)
        assert rest.std() == pytest.approx(basin.truth.thermal_inertia["noise_sd_k"], rel=0.02)
    kelvin = packed[packed != 0] * 0.02
    assert kelvin.min() > 255 and kelvin.max() < 330


def test_water_has_no_soil_moisture(basin):
    missing = np.isnan(basin.soil_moisture)
    assert np.array_equal(missing.any(axis=0), missing.all(axis=0))
    assert np.array_equal(missing.any(axis=0), basin.maps("land_cover")[0, 0] == 17)
    assert missing[0].sum() > 10


# -- what downscaling starts from ---------------------------------------------------------------------------------------


def test_9km_values_are_area_means_plus_noise(basin):
    packed = basin.maps("soil_moisture_9km")[:, 0]
    year = basin.soil_moisture[basin.dates.astype("datetime64[Y]") == np.datetime64("2019")]
    assert packed.shape == (365, 8, 8)
    mean = np.nanmean(year.reshape(365, 8, 9, 8, 9), axis=(2, 4))
    noise = packed / 10_000 - mean
    assert noise.std() == pytest.approx(0.01, rel=0.02)
    assert abs(noise.mean()) < 3 * 0.01 / np.sqrt(noise.size)
    neighbours = np.corrcoef(noise[:, :, :-1].ravel(), noise[:, :, 1:].ravel())[0, 1]
    assert abs(neighbours) < 4 / np.sqrt(noise.size)
    with rasterio.open(next((basin.folder / "soil_moisture_9km").glob("*.tif"))) as file:
        assert file.transform.a == pytest.approx(9 * 1000.89502334956, rel=1e-12)
        fine = rasterio.open(next((basin.folder / "soil_moisture_1km").glob("*.tif")))
        assert file.bounds == pytest.approx(fine.bounds)


def test_all_weather_temperature_is_the_clear_one_without_clouds(basin):
    clear = basin.maps("land_surface_temperature")
    names = sorted(p.name for p in (basin.folder / "land_surface_temperature").glob("*.tif"))
    of_year = np.array([name.startswith("lst_2019") for name in names])
    every = sorted(p.name for p in (basin.folder / "land_surface_temperature_all_weather").glob("*.tif"))
    at = np.searchsorted(every, np.array(names)[of_year])
    filled = basin.maps("land_surface_temperature_all_weather")
    assert len(every) == 365
    is_water = basin.maps("land_cover")[0, 0] == 17
    assert ((filled == 0) == is_water).all()
    is_clear = clear[of_year] != 0
    assert (filled[at][is_clear] == clear[of_year][is_clear]).all()


def test_the_reanalysis_has_the_inertia_of_its_land_cover(basin):
    with rasterio.open(next((basin.folder / "reanalysis").glob("*.tif"))) as file:
        edges, size = file.bounds, file.res[0]
        steps = np.array(edges) * 20  # centres on whole tenths: edges on odd multiples of 0.05
        assert np.allclose(steps, np.rint(steps), atol=1e-6) and (np.rint(steps) % 2 == 1).all()
    maps = basin.maps("reanalysis").astype(float)
    maps[maps == -9999] = np.nan
    year = basin.soil_moisture[basin.dates.astype("datetime64[Y]") == np.datetime64("2019")]
    with rasterio.open(next((basin.folder / "land_cover").glob("*.tif"))) as file:
        cover, transform, crs = file.read(1), file.transform, file.crs
    row, column = np.indices(cover.shape)
    x, y = transform.c + transform.a * (column.ravel() + 0.5), transform.f + transform.e * (row.ravel() + 0.5)
    lon, lat = Transformer.from_crs(crs, 4326, always_xy=True).transform(x, y)
    cell_row = np.floor((edges.top - lat) / size).reshape(cover.shape)
    cell_column = np.floor((lon - edges.left) / size).reshape(cover.shape)
    planted = {1: (14.0, 25.0), 10: (24.0, 40.0), 12: (20.0, 35.0), 16: (30.0, 50.0)}
    n = 0
    for i, j in np.ndindex(maps.shape[2:]):
        inside = (cell_row == i) & (cell_column == j)
        codes, counts = np.unique(cover[inside & (cover != 17)], return_counts=True)
        moisture, day, night = maps[:, :, i, j].T
        if np.isnan(moisture).all() or (counts == counts.max()).sum() > 1:
            continue
        a, b = planted[codes[counts.argmax()]]
        rest = day - night - (a - b * moisture)
        assert rest.std() == pytest.approx(0.2, rel=0.2)
        assert abs(rest.mean()) < 0.05
        difference = moisture - np.nanmean(year[:, inside], axis=1)
        assert difference.mean() == pytest.approx(0.02, abs=0.002)
        assert difference.std() == pytest.approx(0.008, rel=0.2)
        n += 1
    assert n > 35


def test_terrain_units_are_thirds_of_the_heights(basin):
    unit, height = basin.maps("terrain_units")[0, 0], basin.maps("elevation")[0, 0]
    assert [int((unit == u).sum()) for u in (1, 2, 3)] == pytest.approx([1728] * 3, abs=30)
    assert height[unit == 1].max() <= height[unit == 2].min() <= height[unit == 2].max() <= height[unit == 3].min()


# -- the radiometer -----------------------------------------------------------------------------------------------------


def test_36km_values_are_area_means_plus_noise(basin):
    noise = {0: [], 1: [], 8: []}
    n_failed = 0
    for granule in basin.granules:
        for i in np.flatnonzero(granule["retrieval_qual_flag"] != 15):
            row, column = int(granule["EASE_row_index"][i]) - 75, int(granule["EASE_column_index"][i]) - 749
            day = np.searchsorted(basin.dates, np.datetime64(granule["tb_time_utc"][i].decode()[:10]))
            fine = basin.soil_moisture[day, 36 * row : 36 * row + 36, 36 * column : 36 * column + 36]
            flag = int(granule["retrieval_qual_flag"][i])
            if granule["soil_moisture"][i] == -9999:
                n_failed += 1
                assert flag == 5
            else:
                noise[flag].append(granule["soil_moisture"][i] - np.nanmean(fine))
    said = basin.truth.coarse
    recommended = np.array(noise[0] + noise[8])
    assert len(recommended) == said["n_recommended"] and len(noise[8]) > 50
    assert len(noise[1]) == said["n_not_recommended"] > 50 and n_failed == said["n_failed"] > 20
    assert recommended.std() == pytest.approx(said["noise_sd"], rel=0.05)
    assert abs(recommended.mean()) < 4 * said["noise_sd"] / np.sqrt(len(recommended))
    assert np.std(noise[1]) > 4 * said["noise_sd"]


def test_coarse_trends(basin):
    month = np.arange(36) / 12
    for row in range(2):
        for column in range(2):
            block = basin.monthly[:, 36 * row : 36 * row + 36, 36 * column : 36 * column + 36]
            slope = theilslopes(np.nanmean(block, axis=(1, 2)), month).slope
            assert slope == pytest.approx(basin.truth.coarse_trends[row][column], abs=2e-6)


def test_overpasses_come_every_two_or_three_days_but_not_in_the_outage(basin):
    said = basin.truth.coarse
    assert len(basin.granules) == said["n_overpasses"]
    orbits, days = [], []
    for granule in basin.granules:
        match = re.fullmatch(r"SMAP_L2_SM_P_(\d{5})_D_(\d{8}T\d{6})_R18290_001\.h5", granule["name"])
        begins = datetime.strptime(match[2], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        times = [
            datetime.strptime(t.decode(), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC) for t in granule["tb_time_utc"]
        ]
        assert all(0 < (t - begins).total_seconds() < 49 * 60 for t in times), "within the half orbit"
        j2000_utc, leap_seconds_since = datetime(2000, 1, 1, 11, 58, 55, 816000, tzinfo=UTC), 5
        elapsed = [(t - j2000_utc).total_seconds() + leap_seconds_since for t in times]
        assert granule["tb_time_seconds"] == pytest.approx(elapsed, abs=1e-3)
        local = [t.hour + t.minute / 60 + lon / 15 - 24 for t, lon in zip(times, granule["longitude"], strict=True)]
        assert local == pytest.approx([6.0] * 16, abs=0.1)
        orbits.append(int(match[1]))
        days.append(np.datetime64(begins.date()))
    assert all(a < b for a, b in itertools.pairwise(orbits))
    gaps = np.diff(days).astype(int)
    outage = [(a, b) for a, b, gap in zip(days, days[1:], gaps, strict=False) if gap > 3]
    assert set(gaps[gaps <= 3]) == {2, 3} and len(outage) == 1
    assert outage[0][0] < np.datetime64("2019-06-20") and outage[0][1] > np.datetime64("2019-07-22")


def test_cells_of_a_granule_lie_where_their_indices_say(short):
    granule = short.granules[0]
    size = 36032.220840584
    x = -17367530.4451615 + (granule["EASE_column_index"] + 0.5) * size
    y = 7314540.8306386 - (granule["EASE_row_index"] + 0.5) * size
    lon, lat = Transformer.from_crs(6933, 4326, always_xy=True).transform(x, y)
    assert granule["longitude"] == pytest.approx(lon, abs=1e-5) and granule["latitude"] == pytest.approx(lat, abs=1e-5)
    inside = granule["retrieval_qual_flag"] != 15
    assert len(inside) == 16 and inside.sum() == 4
    left, bottom, right, top = short.truth.window["bbox"]
    assert np.array_equal(inside, (left < lon) & (lon < right) & (bottom < lat) & (lat < top))
    for name in ("soil_moisture", "surface_temperature", "clay_fraction"):
        assert (granule[name][~inside] == -9999).all()


def structure(group: h5py.Group) -> dict[str, tuple]:
    """Per dataset: type, rank, width, fill, units, limits (with their types), and which attributes it has."""
    found = {}
    for name, node in group.items():
        plain = {
            k: node.attrs.get(k) for k in ("_FillValue", "units", "valid_min", "valid_max", "coordinates", "flag_masks")
        }
        typed = {k: (v.dtype.str if not isinstance(v, bytes) else "S", v) for k, v in plain.items() if v is not None}
        found[name] = (node.dtype.str, node.shape[1:], typed, tuple(sorted(node.attrs)))
    return found


def test_granules_have_the_structure_of_the_real_product(shared, short):
    real_paths = sorted((shared / "data" / "smap_l2_h5").glob("*.h5"))
    ours = sorted((short.folder / "soil_moisture_36km").glob("*.h5"))
    assert len(ours) == 10
    for path in real_paths:
        with h5py.File(path) as real:
            wanted = structure(real[GROUP])
            assert real.attrs.keys() <= {"SIMULATED"} and set(real) == {"Metadata", GROUP}
            metadata = {name: set(node.attrs) for name, node in real["Metadata"].items()}
        with h5py.File(ours[0]) as simulated:
            found = structure(simulated[GROUP])
            for name, node in simulated["Metadata"].items():
                assert set(node.attrs) <= metadata[name]
        # bit names of brightness temperatures are not simulated, nor are the masks of bits that the 3rd and 4th Stokes skip
        for name in ("tb_qual_flag_3", "tb_qual_flag_4"):
            wanted[name][2].pop("flag_masks"), found[name][2].pop("flag_masks")
        assert len(wanted) == 51
        assert found == wanted
    count_cases("datasets of a SMAP L2 granule that the simulated one has", len(real_paths) * len(wanted))


# -- stations -----------------------------------------------------------------------------------------------------------


def test_stations_measure_their_cell_plus_noise(basin):
    header = ["station_id", "network", "name", "lon", "lat", "elevation_m", "land_cover", "method"]
    stations = basin.rows("stations.csv")
    assert list(stations[0]) == header and len(stations) == 12
    cell = 36032.220840584 / 36
    project = Transformer.from_crs(4326, 6933, always_xy=True)
    elevation = basin.maps("elevation")[0, 0]
    places = {}
    for station, said in zip(stations, basin.truth.stations["stations"], strict=True):
        x, y = project.transform(float(station["lon"]), float(station["lat"]))
        row, column = int((7314540.8306386 - y) // cell) - 2700, int((x + 17367530.4451615) // cell) - 26964
        assert station["station_id"] == said["station_id"]
        assert [row + 2700, column + 26964] == said["cell"] and basin.regions[said["reach"]][row, column]
        assert float(station["elevation_m"]) == elevation[row, column]
        places[station["station_id"]] = row, column
    noise, spikes, seen = [], [], set()
    for reading in basin.rows("observations.csv"):
        assert (reading["layer_top_cm"], reading["layer_bottom_cm"]) == ("0.0", "5.0")
        day = np.searchsorted(basin.dates, np.datetime64(reading["date"]))
        departure = float(reading["soil_moisture_m3m3"]) - basin.soil_moisture[day, *places[reading["station_id"]]]
        (noise if reading["quality"] == "G" else spikes).append(departure)
        seen.add((reading["station_id"], reading["date"]))
    assert len(seen) == len(noise) + len(spikes), "one reading a station and day"
    assert 0.94 < len(seen) / (12 * 1096) < 0.98, "some days are missing"
    assert np.std(noise) == pytest.approx(basin.truth.stations["noise_sd"], rel=0.03)
    assert abs(np.mean(noise)) < 0.001
    assert len(spikes) > 100 and np.mean(spikes) > 0.2


# -- what it hands to the loaders ---------------------------------------------------------------------------------------


def test_loads_name_what_is_there(short):
    listed = loads(short.folder)
    assert listed[0] == Load(
        "regions",
        (short.folder / "regions" / "basin.geojson",),
        as_name="basin",
        id_column="region_id",
        name_column="name",
        level_column="level",
    )
    loaded = {path for load in listed for path in load.paths}
    assert all(path.exists() for path in loaded)
    data = {p for p in short.folder.iterdir() if p.is_dir() and p.name != "mappings"}
    assert {p if p in data else p.parent for p in loaded} == data
    names = [load.as_name or load.product for load in listed]
    assert len(set(names)) == len(names)
    assert listed[1].command() == (
        f"soilhouse load raster {short.folder}/soil_moisture_1km --as basin_soil_moisture_1km --grid ease2_m01 "
        f"--mapping {short.folder}/mappings/soil_moisture_1km.yml"
    )


def test_mappings_say_what_the_files_hold(short):
    rasters = [load for load in loads(short.folder) if load.product == "raster"]
    assert len(rasters) == 12
    for load in rasters:
        mapping = yaml.safe_load(load.mapping.read_text())
        with rasterio.open(next(load.paths[0].glob("*.tif"))) as file:
            assert file.count == len(mapping["variables"])
            for number, variable in enumerate(mapping["variables"], start=1):
                assert variable.get("band", number) == number
                assert variable["fill"] == [file.nodata]
                assert variable["unit"] == file.tags(number)["units"]
        dated = len(list(load.paths[0].glob("*.tif"))) > 1
        assert (mapping["time_step"] == "static") != dated


def test_the_warehouse_accepts_what_is_simulated(short):
    """The one test that does use the readers: every load completes to a product, and a file of each is accepted."""
    from importlib import import_module

    from loaders.grids import GRIDS
    from loaders.products import complete, find_product

    for load in loads(short.folder):
        if load.product == "regions":
            continue
        paths = sorted(load.paths[0].iterdir()) if load.paths[0].is_dir() else sorted(load.paths)  # observations first
        product = complete(find_product(load.product), load.as_name, load.grid, load.mapping, paths)
        granule = import_module(f"loaders.readers.{product.format}").inspect(paths[0], product, GRIDS.get(product.grid))
        n_dates = {"basin_stations": 61}.get(product.name, 0 if product.time_step == "static" else 1)
        assert len(granule.dates) == n_dates
        assert len(granule.variables) >= 1
        if load.product == "raster":
            corner = {"ease2_m01": (2700, 26964), "ease2_m09": (300, 2996), "era5_land_0p1": (511, 2798)}[load.grid]
            assert (granule.window.row, granule.window.column) == corner


# -- refusals -----------------------------------------------------------------------------------------------------------


def test_records_run_from_month_to_month():
    for start, stop in ((date(2019, 1, 2), date(2019, 2, 1)), (date(2019, 2, 1), date(2019, 2, 1))):
        with pytest.raises(ValueError, match="month start"):
            build_world(start=start, stop=stop)


def test_soil_moisture_is_never_clipped():
    with pytest.raises(ValueError, match=r"outside 0\.01-0\.60"):
        build_world(start=date(2019, 1, 1), stop=date(2019, 2, 1), planted=Planted(static_sd=0.2))


def test_a_range_too_long_for_the_grid_is_refused():
    with pytest.raises(ValueError, match="too long"):
        gaussian_fields(np.random.default_rng(0), 1, (8, 8), (1.0, 1.0), Variogram(0, 1, 1e6))


def test_the_command_line_says_how_to_load_it(tmp_path, capsys, monkeypatch):
    from loaders.simulate import __main__ as command

    (tmp_path / "strange.txt").write_text("")
    assert command.main([str(tmp_path)]) == 2
    assert "strange.txt" in capsys.readouterr().err
    monkeypatch.setattr(command, "simulate", lambda folder, seed, progress: progress("files", 1, 2))
    assert command.main([str(tmp_path / "new")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("SIMULATED") and said.count("soilhouse load ") == len(loads(tmp_path / "new"))
