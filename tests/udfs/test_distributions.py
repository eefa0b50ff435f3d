"""The distribution kernels against scipy.stats and statsmodels-free identities."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from udfs.distributions import chi2_quantile, f_p, noncentral_f_p, normal_quantile, t_p


def call(kernel, *arguments) -> np.ndarray:
    columns = [pa.array(column, pa.float64()) for column in np.broadcast_arrays(*np.atleast_1d(*arguments, 0.0)[:-1])]
    return kernel(*columns).to_numpy(zero_copy_only=False)


GRID = np.geomspace(1e-3, 300, 40)


@pytest.mark.parametrize("df1", [1, 2.5, 9, 200])
@pytest.mark.parametrize("df2", [3, 20, 2230, 142_990])
def test_f(df1, df2):
    ours = call(f_p, GRID, df1, df2)
    np.testing.assert_allclose(ours, stats.f.sf(GRID, df1, df2), rtol=1e-10)
    # F is a ratio of betas: an identity that does not go through the same function.
    np.testing.assert_allclose(
        ours, stats.beta.sf(df1 * GRID / (df1 * GRID + df2), df1 / 2, df2 / 2), rtol=1e-8, atol=1e-300
    )


@pytest.mark.parametrize("nc", [0.5, 5, 60])
def test_noncentral_f(nc):
    f = np.geomspace(0.05, 40, 30)
    ours = call(noncentral_f_p, f, 4, 100, nc)
    np.testing.assert_allclose(ours, stats.ncf.sf(f, 4, 100, nc), rtol=1e-10)
    # A Poisson mixture of central betas, its definition.
    j = np.arange(400)
    weights = stats.poisson.pmf(j, nc / 2)
    x = 4 * f / (4 * f + 100)
    mixture = [(weights * stats.beta.sf(one, 2 + j, 50)).sum() for one in x]
    np.testing.assert_allclose(ours, mixture, rtol=1e-8)


def test_noncentral_f_without_noncentrality_is_f():
    np.testing.assert_array_equal(call(noncentral_f_p, GRID, 3, 50, 0.0), call(f_p, GRID, 3, 50))
    mixed = call(noncentral_f_p, [4.0, 4.0], 3, 50, [0.0, 1e-9])
    assert mixed[0] == pytest.approx(mixed[1], rel=1e-6)


@pytest.mark.parametrize("df", [1, 4.5, 19, 5000])
def test_t(df):
    t = np.r_[-GRID, 0.0, GRID]
    np.testing.assert_allclose(call(t_p, t, df), 2 * stats.t.sf(np.abs(t), df), rtol=1e-10)
    np.testing.assert_allclose(call(t_p, t, df), call(f_p, t**2, 1, df), rtol=1e-9)


@pytest.mark.parametrize("df", [0.5, 1, 19, 4000])
def test_chi2_quantile(df):
    p = np.r_[1e-9, 0.01:0.99:15j, 1 - 1e-9]
    ours = call(chi2_quantile, p, df)
    np.testing.assert_allclose(ours, stats.chi2.ppf(p, df), rtol=1e-10)
    np.testing.assert_allclose(stats.chi2.cdf(ours, df), p, rtol=1e-9)
    assert call(chi2_quantile, 0.0, df)[0] == 0.0


def test_normal_quantile():
    p = np.r_[1e-300, 1e-9, 0.001:0.999:21j]
    np.testing.assert_allclose(call(normal_quantile, p), stats.norm.ppf(p), rtol=1e-10)
    assert call(normal_quantile, 0.5)[0] == 0.0


@pytest.mark.parametrize(
    ("kernel", "arguments"),
    [
        (f_p, (1.0, 0.0, 5.0)),
        (f_p, (1.0, 5.0, -1.0)),
        (f_p, (np.nan, 5.0, 5.0)),
        (noncentral_f_p, (1.0, 5.0, 5.0, -0.1)),
        (noncentral_f_p, (1.0, 0.0, 5.0, 2.0)),
        (t_p, (1.0, 0.0)),
        (chi2_quantile, (1.0, 3.0)),
        (chi2_quantile, (1.1, 3.0)),
        (chi2_quantile, (0.5, 0.0)),
        (normal_quantile, (0.0,)),
        (normal_quantile, (1.0,)),
        (normal_quantile, (-0.5,)),
    ],
)
def test_what_is_not_defined_is_null(kernel, arguments):
    assert kernel(*[pa.array([x], pa.float64()) for x in arguments]).to_pylist() == [None]


def test_nulls_in_nulls_out():
    some = pa.array([None, 1.0], pa.float64())
    other = pa.array([2.0, 3.0], pa.float64())
    assert f_p(some, other, other)[0].as_py() is None
    assert noncentral_f_p(other, other, other, some).to_pylist()[0] is None
    assert t_p(other, some).to_pylist()[0] is None


def test_f_below_zero_is_certain():
    assert call(f_p, -1.0, 3, 5)[0] == call(noncentral_f_p, -1.0, 3, 5, 2.0)[0] == 1.0
