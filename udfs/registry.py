"""The list of kernels. DuckDB, Spark, ibis and docs/kernels.md are all fed from it.

To add a kernel: write a function of Arrow arrays in the module it belongs to, describe it in that module's KERNELS, and, for a new
module, name it here.
"""

from __future__ import annotations

from udfs import (
    anomaly,
    discretization,
    distributions,
    kriging,
    partition,
    permutation,
    preparation,
    prepare_series,
    regression,
    semivariogram,
    semivariogram_fit,
    ssmi,
    trend,
    trend_variants,
    validation,
)
from udfs.downscaling import kernels as downscaling
from udfs.kernel import Kernel

MODULES = (
    trend,
    trend_variants,
    preparation,
    prepare_series,
    distributions,
    ssmi,
    discretization,
    partition,
    permutation,
    regression,
    semivariogram,
    semivariogram_fit,
    kriging,
    anomaly,
    validation,
    downscaling,
)

KERNELS: tuple[Kernel, ...] = tuple(kernel for module in MODULES for kernel in module.KERNELS)
