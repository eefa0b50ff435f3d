"""Fitted models: planted ones are found again, the optimum is global, bounds and degenerate semivariograms."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import differential_evolution, lsq_linear

from tests.udfs.map_arrays import doubles
from udfs.semivariogram_fit import EMPIRICAL_BINS, FITTED, WEIGHTINGS, fit_semivariogram
from udfs.semivariogram_model import MODELS

LAGS = np.linspace(1500.0, 40_000.0, 15)


def shape(model, h, a):
    r = np.asarray(h, float) / a
    return {
        "linear": r,
        "spherical": np.where(r < 1, 1.5 * r - 0.5 * r**3, 1.0),
        "exponential": 1 - np.exp(-r),
        "gaussian": 1 - np.exp(-(r**2)),
    }[model]


def listed(h, g, n=None):
    n = np.full(len(h), 1000) if n is None else n
    return [{"lag_m": float(a), "n_pairs": int(b), "semivariance": float(c)} for a, b, c in zip(h, n, g, strict=True)]


def fit(bins, model="exponential", weighting="ols", bound=0.0):
    given_ = pa.array([bins], EMPIRICAL_BINS)
    return fit_semivariogram(given_, pa.array([model]), pa.array([weighting]), doubles(bound))[0].as_py()


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("model", MODELS)
def test_a_planted_model_is_found_again(model, weighting):
    a = 40_000.0 if model == "linear" else 9000.0
    n = np.random.default_rng(0).integers(50, 9000, LAGS.size)
    fitted = fit(listed(LAGS, 2e-5 + 1e-4 * shape(model, LAGS, a), n), model, weighting)
    assert (fitted["nugget"], fitted["partial_sill"]) == pytest.approx((2e-5, 1e-4), rel=1e-5)
    assert fitted["range_parameter_m"] == pytest.approx(a, rel=1e-5)
    assert fitted["sill"] == pytest.approx(1.2e-4, rel=1e-5)
    assert fitted["nugget_ratio"] == pytest.approx(1 / 6, rel=1e-5)
    assert fitted["structural_ratio"] == pytest.approx(5 / 6, rel=1e-5)
    assert fitted["fraction_of_sill_reached"] == pytest.approx((2e-5 + 1e-4 * shape(model, 40_000.0, a)) / 1.2e-4)
    assert fitted["max_lag_m"] == 40_000.0 and fitted["n_bins"] == 15
    assert fitted["r2"] == pytest.approx(1) and not fitted["is_range_at_bound"]
    factor = {"linear": None, "spherical": 1.0, "exponential": 3.0, "gaussian": 3**0.5}[model]
    if model == "linear":
        assert fitted["slope"] == pytest.approx(1e-4 / 40_000, rel=1e-5)
        assert fitted["range_effective_m"] is None and fitted["is_bounded"] is False
    else:
        assert fitted["range_effective_m"] == pytest.approx(9000 * factor, rel=1e-5)
        assert fitted["slope"] is None and fitted["is_bounded"] is True


def weights_of(weighting, n, h):
    return {"ols": np.ones(h.size), "n": n.astype(float), "n_over_h2": n / h**2}[weighting]


def best_squares(model, weighting, h, g, n, limit):
    """The least sum of squares that scipy's global search finds: bounded least squares within differential evolution."""
    root = np.sqrt(weights_of(weighting, n, h))

    def squares(log_a):
        f = shape(model, h, np.exp(log_a[0]))
        scale = max(np.abs(f).max(), 1e-300)
        done = lsq_linear(
            np.column_stack([root, root * f / scale]), root * g, bounds=(0, np.inf), tol=1e-14, method="bvls"
        )
        return 2 * done.cost

    if model == "linear":
        return squares([np.log(h.max())])
    found = differential_evolution(squares, [(np.log(h.min() / 10), np.log(limit))], seed=1, tol=1e-12, popsize=30)
    return found.fun


@pytest.mark.parametrize("seed", range(6))
def test_no_search_finds_a_better_one(seed):
    rng = np.random.default_rng(seed)
    h = np.sort(rng.uniform(500, 30_000, 12))
    g = np.abs(1 + rng.normal(0, 0.5, 12)) if seed % 2 else 0.3 + shape("gaussian", h, 8000) + rng.normal(0, 0.05, 12)
    n = rng.integers(10, 5000, 12)
    for model in MODELS:
        for weighting in WEIGHTINGS:
            fitted = fit(listed(h, g, n), model, weighting, bound=100_000.0)
            theirs = best_squares(model, weighting, h, g, n, 100_000.0)
            assert fitted["weighted_rss"] <= theirs * (1 + 1e-7)
            a = fitted["range_parameter_m"] or 1.0
            values = fitted["nugget"] + fitted["partial_sill"] * shape(model, h, a)
            assert fitted["rss"] == pytest.approx(((g - values) ** 2).sum(), rel=1e-9)
            assert fitted["weighted_rss"] == pytest.approx(weights_of(weighting, n, h) @ (g - values) ** 2, rel=1e-9)
            assert fitted["r2"] == pytest.approx(1 - fitted["rss"] / ((g - g.mean()) ** 2).sum(), rel=1e-9, abs=1e-9)


def test_a_bound_is_kept_and_named():
    bins = listed(LAGS, 0.1 + 1.0 * shape("exponential", LAGS, 500_000.0))
    free, bounded, wide = (fit(bins, bound=bound) for bound in (0.0, 100_000.0, 1e6))
    assert free["range_parameter_m"] == pytest.approx(500_000, rel=1e-3) and not free["is_range_at_bound"]
    assert free["fraction_of_sill_reached"] < 0.2
    assert bounded["range_parameter_m"] == pytest.approx(100_000, rel=1e-9) and bounded["is_range_at_bound"]
    assert wide["range_parameter_m"] == pytest.approx(free["range_parameter_m"], rel=1e-6)
    assert bounded["rss"] > free["rss"]


def test_a_straight_line_asks_for_the_longest_range():
    fitted = fit(listed(LAGS, 1e-5 * LAGS), "spherical")
    assert fitted["is_range_at_bound"]
    assert fitted["range_parameter_m"] == pytest.approx(1000 * LAGS.max())


@pytest.mark.parametrize("model", MODELS)
def test_flat_falling_and_zero_semivariograms(model):
    flat = fit(listed(LAGS, np.full(LAGS.size, 0.3)), model)
    assert (flat["nugget"], flat["partial_sill"], flat["nugget_ratio"], flat["rss"]) == (0.3, 0, 1, 0)
    assert flat["r2"] is None and flat["slope"] == (0 if model == "linear" else None)
    falling = fit(listed(LAGS, 1 - 1e-5 * LAGS), model)
    assert falling["partial_sill"] == 0 and falling["structural_ratio"] == 0 and falling["nugget_ratio"] == 1
    assert falling["range_effective_m"] is None and falling["is_range_at_bound"] is False
    zero = fit(listed(LAGS, np.zeros(LAGS.size)), model)
    assert (zero["nugget"], zero["sill"], zero["rss"]) == (0, 0, 0)
    assert zero["nugget_ratio"] is zero["structural_ratio"] is zero["fraction_of_sill_reached"] is zero["r2"] is None


def test_bins_that_do_not_count():
    good = listed(LAGS, 0.1 + shape("spherical", LAGS, 20_000))
    bad = [
        None,
        {"lag_m": 0.0, "n_pairs": 5, "semivariance": 9.0},
        {"lag_m": 5000.0, "n_pairs": 0, "semivariance": 9.0},
        {"lag_m": None, "n_pairs": 5, "semivariance": 9.0},
        {"lag_m": 5000.0, "n_pairs": 5, "semivariance": None},
        {"lag_m": 5000.0, "n_pairs": None, "semivariance": 9.0},
        {"lag_m": float("nan"), "n_pairs": 5, "semivariance": 9.0},
    ]
    expected = fit(good)
    among = fit([*bad, *good[::-1]])
    assert {k: v for k, v in among.items() if v is not None} == pytest.approx(
        {k: v for k, v in expected.items() if v is not None}, rel=1e-6
    )
    assert fit(bad) is None and fit(good[:2]) is None and fit([]) is None and fit(None) is None
    assert fit(good, None) is fit(good, "gaussian", None) is fit(good, "gaussian", "ols", None) is None
    many = fit_semivariogram(
        pa.array([good, None, good[:3]], EMPIRICAL_BINS)[1:],
        pa.array(["linear"] * 2),
        pa.array(["ols"] * 2),
        doubles(0, 0),
    )
    assert many.type == FITTED
    assert many.to_pylist() == [None, fit(good[:3], "linear")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cubic", "ols", 0.0), "model 'cubic' is not one of linear, spherical"),
        (("linear", "wls", 0.0), "weighting 'wls' is not one of ols, n, n_over_h2"),
        (("linear", "ols", -1.0), "range_bound_m is -1.0"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        fit(listed(LAGS, LAGS), *arguments)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n_bins=st.integers(3, 20),
    model=st.sampled_from(MODELS),
    weighting=st.sampled_from(WEIGHTINGS),
    scale=st.sampled_from([2.0**-20, 4.0]),
    stretch=st.sampled_from([2.0**-10, 8.0]),
)
def test_units_do_not_matter(seed, n_bins, model, weighting, scale, stretch):
    rng = np.random.default_rng(seed)
    h, g, n = np.sort(rng.uniform(1, 100, n_bins)), rng.gamma(2, 1, n_bins), rng.integers(1, 1000, n_bins)
    a, b = fit(listed(h, g, n), model, weighting), fit(listed(stretch * h, scale * g, n), model, weighting)
    # Parameters may trade places where fewer than three bins lie below the sill; the fit may not.
    back = {"ols": 1.0, "n": 1.0, "n_over_h2": stretch**2}[weighting] / scale**2
    assert b["weighted_rss"] * back == pytest.approx(a["weighted_rss"], rel=1e-6, abs=1e-12)
    assert a["nugget"] >= 0 and a["partial_sill"] >= 0
    assert a["nugget_ratio"] + a["structural_ratio"] == pytest.approx(1)
