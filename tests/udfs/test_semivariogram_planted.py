"""Fields of a planted variogram on a grid that keeps areas and not distances: found with true distances, missed with the grid's own metres."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from loaders.simulate.fields import Variogram, gaussian_fields
from loaders.simulate.geometry import FINE_M, SIZE, cell_size_m, to_lonlat
from tests.udfs.map_arrays import cells, doubles, placed, whole
from udfs.semivariogram import semivariogram, semivariogram_geodesic
from udfs.semivariogram_fit import EMPIRICAL_BINS, fit_semivariogram

PLANTED = Variogram(nugget=2e-5, partial_sill=1e-4, range_m=4000.0)
N_FIELDS = 36
CUTOFF_M = 15_000.0


@pytest.fixture(scope="module")
def maps() -> list[dict[str, np.ndarray]]:
    fields = gaussian_fields(np.random.default_rng(20200101), N_FIELDS, (SIZE, SIZE), cell_size_m(), PLANTED)
    row, col = (part.ravel() for part in np.indices((SIZE, SIZE)))
    lon, lat = to_lonlat(col + 0.5, row + 0.5)
    places = {"row_index": row, "col_index": col, "lon": lon, "lat": lat}
    return [places | {"v": field.ravel()} for field in fields]


def true_metres(fields: dict[str, np.ndarray]) -> pa.ListArray:
    return semivariogram_geodesic(placed(fields), doubles(CUTOFF_M), whole(15))


def own_metres(fields: dict[str, np.ndarray]) -> pa.ListArray:
    plain = cells({name: fields[name] for name in ("row_index", "col_index", "v")})
    return semivariogram(plain, doubles(FINE_M), doubles(FINE_M), doubles(CUTOFF_M), whole(15))


def fitted(maps: list[dict[str, np.ndarray]], by: Callable, direction: str) -> dict[str, float]:
    """An exponential model of the mean semivariogram of all fields; their counts of pairs are the same."""
    every = [[b for b in by(fields)[0].as_py() if b["direction"] == direction] for fields in maps]
    mean = [
        {k: v[0][k] for k in ("lag_m", "n_pairs")} | {"semivariance": float(np.mean([b["semivariance"] for b in v]))}
        for v in zip(*every, strict=True)
    ]
    bins = pa.array([mean], EMPIRICAL_BINS)
    return fit_semivariogram(bins, pa.array(["exponential"]), pa.array(["n_over_h2"]), doubles(0.0))[0].as_py()


def test_the_planted_variogram_is_found(maps):
    found = fitted(maps, true_metres, "all")
    assert found["range_parameter_m"] == pytest.approx(PLANTED.range_m, rel=0.08)
    assert found["nugget"] == pytest.approx(PLANTED.nugget, rel=0.15)
    assert found["partial_sill"] == pytest.approx(PLANTED.partial_sill, rel=0.08)
    assert found["structural_ratio"] == pytest.approx(PLANTED.partial_sill / PLANTED.sill, abs=0.03)
    assert found["r2"] > 0.99


def test_directions_are_alike_at_true_distances_and_not_in_the_grids_own_metres(maps):
    width, height = cell_size_m()
    true, own = (
        fitted(maps, by, "90")["range_parameter_m"] / fitted(maps, by, "0")["range_parameter_m"]
        for by in (true_metres, own_metres)
    )
    assert true == pytest.approx(1, abs=0.1)
    # A cell of 0.90 x 1.11 km taken for a square one: the same error, whatever the field.
    assert own / true == pytest.approx(height / width, rel=0.05)
    assert own > 1.1
