"""How kernels are compiled: once a machine, lazily, and without the interpreter's lock."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` with numba when it is first called; threads of the engine run it side by side.

    Division follows IEEE 754 (x / 0 is infinite): a check for zero in every division would keep loops from being
    vectorised. The machine code is kept beside the module, or in the user's cache where that is read-only; with neither
    (a locked-down container) it is compiled once a process.
    """
    try:
        kernel = njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # numba: no place to write the cache to
        return njit(nogil=True, error_model="numpy")(function)
    # numba asks only whether a function's own file has changed. What it calls is compiled into it, so that machine code
    # kept from before a change in another file would go on giving the old results.
    kernel._cache._cache_file._source_stamp = _sources_stamp()
    return kernel


@cache
def _sources_stamp() -> str:
    """A hash of every module of this package that holds compiled functions."""
    sources = [path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py"))]
    return hashlib.sha256(b"".join(source for source in sources if b"@compiled" in source)).hexdigest()
