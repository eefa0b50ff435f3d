"""What pytesmo says of pairs and series, with this house's number of independent pairs in its intervals."""

from __future__ import annotations

import warnings
from datetime import date

import numpy as np
import pandas as pd
from scipy import stats

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pytesmo import scaling
    from pytesmo.metrics import pairwise
    from pytesmo.time_series.filtering import moving_average

Series = dict[date, float]


def anomalies(days: Series, fewest: int = 5) -> Series:
    series = pd.Series(days.values(), index=pd.to_datetime(list(days)))
    means = moving_average(series, window_size=35, min_obs=fewest)
    return {day.date(): value for day, value in (series - means).dropna().items()}


def scaled(how: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The estimates by one of the study's scalings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if how == "cdf":
            return scaling.cdf_match(x.round(9), y.round(9))
        return scaling.mean_std(x, y) if how == "mean_std" else x


def memory(values: np.ndarray) -> float:
    deviation = values - values.mean()
    return float(deviation[1:] @ deviation[:-1] / (deviation @ deviation))


def expected_score(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """pytesmo's metrics; its intervals with the number of independent pairs in the place of n."""
    d, n = x - y, len(x)
    together = max(0.0, memory(x) * memory(y))
    alone = max(0.0, memory(d))
    n_r, n_d = n * (1 - together) / (1 + together), n * (1 - alone) / (1 + alone)
    r = pairwise.pearson_r(x, y)
    rho = pairwise.spearman_r(
        x.round(9), y.round(9)
    )  # days of the same readings tie, in whatever order they were added
    ubrmse = pairwise.ubrmsd(x, y)
    half = stats.t.ppf(0.975, n_d - 1) * d.std(ddof=1) / np.sqrt(n_d)
    z = stats.norm.ppf(0.975)
    wide = np.sqrt(1 + rho**2 / 2)
    return {
        "n": n, "n_effective": n_r, "n_effective_difference": n_d, "r": r, "rho": rho, "rmse_m3m3": pairwise.rmsd(x, y), "bias_m3m3": pairwise.bias(x, y),
        "ubrmse_m3m3": ubrmse, "sd_estimate_m3m3": x.std(ddof=1), "sd_reference_m3m3": y.std(ddof=1),
        "r_lower": np.tanh(np.arctanh(r) - z / np.sqrt(n_r - 3)), "r_upper": np.tanh(np.arctanh(r) + z / np.sqrt(n_r - 3)),
        "rho_lower": np.tanh(np.arctanh(rho) - z * wide / np.sqrt(n_r - 3)), "rho_upper": np.tanh(np.arctanh(rho) + z * wide / np.sqrt(n_r - 3)),
        "bias_lower_m3m3": d.mean() - half, "bias_upper_m3m3": d.mean() + half,
        "ubrmse_lower_m3m3": ubrmse * np.sqrt(n_d / stats.chi2.ppf(0.975, n_d - 1)), "ubrmse_upper_m3m3": ubrmse * np.sqrt(n_d / stats.chi2.ppf(0.025, n_d - 1)),
    }  # fmt: skip
