"""Ordinary kriging: against the system written out in numpy, and what kriging must do whatever the model."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.udfs.map_arrays import doubles
from udfs.kriging import PLACES, VALUES, krige_weights, ordinary_kriging
from udfs.semivariogram_model import MODELS


def gamma(model, h, nugget, partial, a):
    r = h / a
    f = {
        "linear": r,
        "spherical": np.where(r < 1, 1.5 * r - 0.5 * r**3, 1.0),
        "exponential": 1 - np.exp(-r),
        "gaussian": 1 - np.exp(-(r**2)),
    }[model]
    return np.where(h > 0, nugget + partial * f, 0.0)


def by_numpy(x, y, v, x0, y0, *model):
    """Estimate, variance and weights from the covariances of contrasts: another route than the kernel's system."""
    between = gamma(model[0], np.hypot(x[:, None] - x, y[:, None] - y), *model[1:])
    to = gamma(model[0], np.hypot(x - x0, y - y0), *model[1:])
    inverse = np.linalg.inv(between)
    mu = (inverse.sum(axis=0) @ to - 1) / inverse.sum()
    weight = inverse @ (to - mu)
    return weight @ v, weight @ to + mu, weight


def krige(x, y, v, x0, y0, model, nugget, partial, a):
    members = [{"x_m": float(i), "y_m": float(j), "v": float(k)} for i, j, k in zip(x, y, v, strict=True)]
    return ordinary_kriging(
        pa.array([members], VALUES),
        doubles(x0),
        doubles(y0),
        pa.array([model]),
        doubles(nugget),
        doubles(partial),
        doubles(a),
    )[0].as_py()


def weigh(x, y, x0, y0, model, nugget, partial, a):
    members = [{"id": 10 * k, "x_m": float(i), "y_m": float(j)} for k, (i, j) in enumerate(zip(x, y, strict=True))]
    return krige_weights(
        pa.array([members], PLACES),
        doubles(x0),
        doubles(y0),
        pa.array([model]),
        doubles(nugget),
        doubles(partial),
        doubles(a),
    )[0].as_py()


@pytest.fixture
def field():
    rng = np.random.default_rng(0)
    return rng.uniform(0, 10_000, 25), rng.uniform(0, 10_000, 25), rng.normal(0.25, 0.05, 25)


@pytest.mark.parametrize("nugget", [1e-4, 1e-3])
@pytest.mark.parametrize("model", MODELS)
def test_against_numpy(field, model, nugget):
    x, y, v = field
    given_ = (model, nugget, 2e-3, 4000.0)
    estimate, variance, weight = by_numpy(x, y, v, 5100.0, 4800.0, *given_)
    done = krige(x, y, v, 5100.0, 4800.0, *given_)
    assert done["estimate"] == pytest.approx(estimate, rel=1e-9)
    assert done["variance"] == pytest.approx(variance, rel=1e-8)
    assert done["n"] == 25
    weights = weigh(x, y, 5100.0, 4800.0, *given_)
    assert [w["id"] for w in weights] == [10 * k for k in range(25)]
    assert [w["weight"] for w in weights] == pytest.approx(weight, rel=1e-7, abs=1e-10)


@pytest.mark.parametrize("model", ["linear", "spherical", "exponential"])
def test_at_a_neighbour_it_is_the_neighbour(field, model):
    x, y, v = field
    done = krige(x, y, v, x[7], y[7], model, 0.0, 1.0, 3000.0)
    assert done["estimate"] == pytest.approx(v[7], rel=1e-10)
    assert done["variance"] == pytest.approx(0, abs=1e-10)
    near = krige(x, y, v, x[7] + 0.01, y[7], model, 0.0, 1.0, 3000.0)
    assert near["estimate"] == pytest.approx(v[7], abs=1e-4)


def test_a_pure_nugget_gives_the_mean_and_one_neighbour_itself(field):
    x, y, v = field
    done = krige(x, y, v, 5000.0, 5000.0, "spherical", 2.0, 0.0, 1.0)
    assert done["estimate"] == pytest.approx(v.mean())
    assert done["variance"] == pytest.approx(2 * (1 + 1 / 25))
    assert krige([0], [0], [3.0], 100.0, 0.0, "exponential", 0.5, 1.0, 200.0) == {
        "estimate": 3.0,
        "variance": pytest.approx(2 * (0.5 + 1 - np.exp(-0.5))),
        "n": 1,
    }


def test_neighbours_at_one_place_share_its_weight(field):
    x, y, v = field
    once = krige(x, y, v, 5000.0, 5000.0, "exponential", 0.0, 1.0, 3000.0)
    at_3 = np.append(v, v[3] + 0.02)
    at_3[3] = v[3] - 0.02
    twice = krige(np.append(x, x[3]), np.append(y, y[3]), at_3, 5000.0, 5000.0, "exponential", 0.0, 1.0, 3000.0)
    assert twice["estimate"] == pytest.approx(once["estimate"], rel=1e-10)
    assert twice["variance"] == pytest.approx(once["variance"], rel=1e-10)
    assert twice["n"] == 26


def test_nulls_missing_members_and_rows_side_by_side(field):
    x, y, v = field
    good = [{"x_m": a, "y_m": b, "v": c} for a, b, c in zip(x.tolist(), y.tolist(), v.tolist(), strict=True)]
    holes = [None, {"x_m": None, "y_m": 1.0, "v": 1.0}, *good, {"x_m": 1.0, "y_m": 1.0, "v": float("nan")}]
    column = pa.array([good, None, holes, [], [None], good, good], VALUES)[1:]
    n = len(column)
    models = pa.array(["exponential"] * (n - 2) + [None, "exponential"])
    done = ordinary_kriging(
        column,
        doubles(*[5000.0] * n),
        doubles(*[5000.0] * n),
        models,
        doubles(*[0.1] * n),
        doubles(*[1.0] * n),
        doubles(*[3000.0] * (n - 1), None),
    )
    expected = krige(x, y, v, 5000.0, 5000.0, "exponential", 0.1, 1.0, 3000.0)
    assert done.to_pylist() == [None, expected, None, None, None, None]
    places = [
        [{"id": 5, "x_m": 0.0, "y_m": 0.0}, {"id": None, "x_m": 9.0, "y_m": 0.0}],
        None,
        [],
        [{"id": 6, "x_m": 1.0, "y_m": 0.0}],
    ]
    given_ = pa.array([[{"id": 1, "x_m": 0.0, "y_m": 0.0}] * 3, *places], PLACES)[1:]
    weights = krige_weights(
        given_,
        *(doubles(*[2.0] * 4) for _ in range(2)),
        pa.array(["linear"] * 4),
        *(doubles(*[1.0] * 4) for _ in range(3)),
    )
    assert weights.to_pylist() == [[{"id": 5, "weight": 1.0}], None, None, [{"id": 6, "weight": 1.0}]]
    assert krige(x, y, v, 5000.0, 5000.0, "exponential", 0.0, 0.0, 3000.0) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cubic", 0.0, 1.0, 1.0), "model 'cubic' is not one of"),
        (("linear", -0.1, 1.0, 1.0), "nugget is -0.1"),
        (("linear", 0.1, -1.0, 1.0), "partial_sill is -1.0"),
        (("linear", 0.1, 1.0, 0.0), "range_parameter_m is 0.0"),
    ],
)
def test_what_makes_no_sense_is_refused(field, arguments, message):
    with pytest.raises(ValueError, match=message):
        krige(*field, 0.0, 0.0, *arguments)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(1, 30),
    model=st.sampled_from(MODELS),
    nugget=st.sampled_from([1e-3, 0.2]),
    shift=st.floats(-10, 10),
    scale=st.floats(0.1, 10),
)
def test_weights_add_up_and_the_estimate_follows_the_values(seed, n, model, nugget, shift, scale):
    rng = np.random.default_rng(seed)
    x, y, v = rng.uniform(0, 5000, n), rng.uniform(0, 5000, n), rng.normal(size=n)
    given_ = (2000.0, 2500.0, model, nugget, 1.0, 1500.0)
    weights = [w["weight"] for w in weigh(x, y, *given_)]
    assert sum(weights) == pytest.approx(1, abs=1e-9)
    done, moved = krige(x, y, v, *given_), krige(x, y, scale * v + shift, *given_)
    assert done["estimate"] == pytest.approx(np.dot(weights, v), rel=1e-9, abs=1e-9)
    assert moved["estimate"] == pytest.approx(scale * done["estimate"] + shift, rel=1e-8, abs=1e-8)
    assert moved["variance"] == done["variance"] >= 0
