"""partial_regression against statsmodels and its own definition, and where it has nothing to say."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udfs.regression import OBSERVATIONS, PARTIAL_REGRESSION, partial_regression

NUMBERS = [
    name for name in (field.name for field in PARTIAL_REGRESSION.field("factors").type.value_type) if name != "factor"
]


def observations(x, y):
    return [{"y": a, "x": list(b)} for a, b in zip(np.asarray(y).tolist(), np.asarray(x).tolist(), strict=True)]


def fit(*units):
    return partial_regression(pa.array(list(units), OBSERVATIONS)).to_pylist()


def sample(seed, n=60, k=4):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, k)) @ generator.normal(size=(k, k)) + 1000.0
    return x, x @ generator.normal(size=k) + generator.normal(size=n)


@pytest.mark.parametrize(("n", "k"), [(60, 4), (252, 5), (9, 4), (30, 1), (200, 12)])
def test_statsmodels(n, k):
    sm = pytest.importorskip("statsmodels.api")
    from statsmodels.stats.outliers_influence import variance_inflation_factor

    x, y = sample(n + k, n, k)
    result = fit(observations(x, y))[0]
    theirs = sm.OLS(y, sm.add_constant(x)).fit()
    assert (result["n"], result["df"]) == (n, n - k - 1)
    assert result["r2"] == pytest.approx(theirs.rsquared, rel=1e-9)
    centred = sm.add_constant(x - x.mean(axis=0))
    for j, factor in enumerate(result["factors"], 1):
        assert factor["factor"] == j
        assert factor["coefficient"] == pytest.approx(theirs.params[j], rel=1e-8)
        assert factor["se"] == pytest.approx(theirs.bse[j], rel=1e-8)
        assert factor["t"] == pytest.approx(theirs.tvalues[j], rel=1e-8)
        assert factor["p"] == pytest.approx(theirs.pvalues[j], rel=1e-7, abs=1e-300)
        assert factor["vif"] == pytest.approx(variance_inflation_factor(centred, j), rel=1e-8)
        assert factor["coefficient_standardised"] == pytest.approx(
            theirs.params[j] * x[:, j - 1].std() / y.std(), rel=1e-8
        )
        # the definition: residuals of both on the other factors
        others = np.delete(centred, j, axis=1)
        left_y = y - others @ np.linalg.lstsq(others, y, rcond=None)[0]
        left_x = x[:, j - 1] - others @ np.linalg.lstsq(others, x[:, j - 1], rcond=None)[0]
        assert factor["partial_r"] == pytest.approx(np.corrcoef(left_x, left_y)[0, 1], rel=1e-7)
        assert factor["partial_r_p"] == factor["p"]


def test_missing_values_take_their_row_with_them():
    x, y = sample(3)
    whole = fit(observations(x[5:], y[5:]))[0]
    rows = observations(x, y)
    rows[0]["y"] = None
    rows[1]["x"][2] = None
    rows[2]["x"] = None
    rows[3] = None
    rows[4]["x"][0] = float("nan")
    assert fit(rows)[0] == whole
    rows[4]["x"][0] = float("inf")
    assert fit(rows)[0] == whole


def test_units_do_not_touch():
    units = [observations(*sample(seed, 20 + seed, 1 + seed % 4)) for seed in range(6)]
    alone = [fit(unit)[0] for unit in units]
    assert fit(*units[:3], None, [], *units[3:]) == [*alone[:3], None, None, *alone[3:]]
    array = pa.array([units[0], None, *units[1:]], OBSERVATIONS)
    assert partial_regression(array.slice(2, 3)).to_pylist() == alone[1:4]


def test_a_combination_of_factors_is_null_and_harms_no_other():
    x, y = sample(1)
    plain = fit(observations(x[:, 2:], y))[0]
    combined = np.column_stack([x[:, 2], x[:, 0], x[:, 3], 2.0 * x[:, 0] + 5.0])
    result = fit(observations(combined, y))[0]
    with_one = fit(observations(np.column_stack([x[:, 2], x[:, 0], x[:, 3]]), y))[0]
    for j in (1, 3):
        assert all(result["factors"][j][name] is None for name in NUMBERS)
    assert result["df"] == with_one["df"] == plain["df"] - 1
    assert result["r2"] == pytest.approx(with_one["r2"], rel=1e-12)
    for j in (0, 2):
        for name in NUMBERS:
            assert result["factors"][j][name] == pytest.approx(with_one["factors"][j][name], rel=1e-7)


def test_a_constant_factor_is_null():
    x, y = sample(2)
    for constant in (0.1, 0.0, -1e9, 0.1 + 2e-17 * np.arange(y.size)):
        result = fit(observations(np.column_stack([x[:, 0], np.broadcast_to(constant, y.size), x[:, 1]]), y))[0]
        alone = fit(observations(x[:, :2], y))[0]
        assert all(result["factors"][1][name] is None for name in NUMBERS)
        assert result["df"] == alone["df"]
        assert result["factors"][0]["coefficient"] == pytest.approx(alone["factors"][0]["coefficient"], rel=1e-12)
        assert result["factors"][2]["t"] == pytest.approx(alone["factors"][1]["t"], rel=1e-10)


def test_a_constant_y_says_nothing():
    x, _ = sample(2)
    result = fit(observations(x, np.full(x.shape[0], 0.3)))[0]
    assert result["r2"] is None
    for factor in result["factors"]:
        assert factor["vif"] >= 1.0
        assert all(factor[name] is None for name in NUMBERS if name != "vif")


def test_a_fit_without_residuals():
    x = np.arange(10.0)[:, None]
    factor = fit(observations(x, 3.0 - 2.0 * x[:, 0]))[0]["factors"][0]
    assert factor["coefficient"] == pytest.approx(-2.0, rel=1e-12)
    assert (factor["se"], factor["t"], factor["p"], factor["partial_r"]) == (0.0, None, None, -1.0)


def test_too_few_degrees_of_freedom():
    x, y = sample(4, 60, 3)
    assert fit(observations(x[:6], y[:6])) == [None]
    assert fit(observations(x[:7], y[:7]))[0]["df"] == 3
    assert fit([{"y": 1.0, "x": []}] * 9) == [None]
    assert partial_regression(pa.array([], OBSERVATIONS)).to_pylist() == []


def test_rows_of_different_width_are_refused():
    with pytest.raises(ValueError, match="partial_regression: rows with different numbers of factors"):
        fit([{"y": 1.0, "x": [1.0, 2.0]}, {"y": 2.0, "x": [1.0]}])


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    shift=st.floats(-1e4, 1e4),
    scale=st.floats(1e-3, 1e3),
    sign=st.sampled_from([-1.0, 1.0]),
)
def test_units_of_measurement_do_not_matter(seed, shift, scale, sign):
    x, y = sample(seed, 40, 3)
    plain, moved = fit(observations(x, y), observations(sign * scale * x + shift, y))
    for one, other in zip(plain["factors"], moved["factors"], strict=True):
        assert other["coefficient"] * scale * sign == pytest.approx(one["coefficient"], rel=1e-6, abs=1e-9)
        assert other["t"] == pytest.approx(sign * one["t"], rel=1e-6, abs=1e-8)
        assert other["vif"] == pytest.approx(one["vif"], rel=1e-6)
