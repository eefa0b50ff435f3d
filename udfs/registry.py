"""The list of kernels. DuckDB, Spark, ibis and docs/kernels.md are all fed from it.

To add a kernel: write a function of Arrow arrays in the module it belongs to, describe it in that module's KERNELS, and, for a new
module, name it here.
"""

from __future__ import annotations

from udfs import distributions, preparation, trend
from udfs.kernel import Kernel

MODULES = (trend, preparation, distributions)

KERNELS: tuple[Kernel, ...] = tuple(kernel for module in MODULES for kernel in module.KERNELS)
