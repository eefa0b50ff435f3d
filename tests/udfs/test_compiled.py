"""What kernels are compiled of, and how the machine code is kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import udfs
from udfs.compress import LANES, keep_between
from udfs.order_statistics import SPREAD_UP_TO, buckets, narrow, sort, spread, spread_value, value_range

ROOM = Path(udfs.__file__).parent


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 64, 1001])
def test_keep_between(n):
    rng = np.random.default_rng(n)
    x = rng.normal(size=n).round(1)
    x[rng.random(n) < 0.1] = np.nan
    out = np.full(n + 3 + LANES, -9.0)
    end = keep_between(x, -0.5, 0.7, out, np.int64(3))
    expected = x[(x >= -0.5) & (x <= 0.7)]
    assert end == 3 + expected.size
    np.testing.assert_array_equal(out[3:end], expected)
    np.testing.assert_array_equal(out[:3], -9.0)


def arrays():
    rng = np.random.default_rng(1)
    for n in (1, 2, 3, 16, 17, 100, 700, 5000):
        yield rng.normal(size=n)
        yield rng.normal(size=n).round(1)
        yield np.full(n, 2.5)
        yield np.where(np.arange(n) == n // 2, 1e300, rng.normal(size=n))
        yield np.where(rng.random(n) < 0.5, -1.7e308, 1.7e308)
        yield rng.integers(0, 2, n).astype(float)
        yield np.sort(rng.standard_cauchy(n) ** 5)


def test_sort():
    for x in arrays():
        ours = x.copy()
        sort(ours, buckets(x.size))
        np.testing.assert_array_equal(ours, np.sort(x))


def test_narrowed_and_spread_ranks_are_exact():
    rng = np.random.default_rng(2)
    for x in arrays():
        ordered = np.sort(x)
        low, high = value_range(x)
        for rank in {0, x.size - 1, x.size // 2, *rng.integers(0, x.size, 5).tolist()}:
            spare_1, spare_2 = np.empty(x.size + LANES), np.empty(x.size + LANES)
            kept, kept_low, kept_high, below = narrow(x, low, high, rank, rank, spare_1, spare_2)
            space = buckets(max(kept.size, 1))
            spread(kept, kept_low, kept_high, space)
            assert spread_value(kept.size, kept_low, kept_high, rank - below, space) == ordered[rank]
    even = rng.normal(size=20_000)
    kept, *_ = narrow(even, -6.0, 6.0, 9000, 9000, np.empty(20_008), np.empty(20_008))
    assert kept.size <= SPREAD_UP_TO


def run(code: str, folder: Path, **environment: str) -> str:
    """What Python prints with the package found in `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(folder), **environment}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


KEEP = """
import numpy as np
from udfs.compress import LANES, keep_between
x = np.arange(100) * 37 % 100 / 10.0
out = np.empty(100 + LANES)
end = keep_between(x, 2.0, 6.5, out, np.int64(0))
print((out[:end] == x[(x >= 2.0) & (x <= 6.5)]).all(), end)
"""


def test_processors_without_the_instruction_get_the_same(tmp_path):
    """Without AVX-512 the eight lanes are taken apart by the compiler."""
    assert run(KEEP, ROOM.parent, NUMBA_CPU_NAME="generic", NUMBA_CACHE_DIR=str(tmp_path)) == "True 46\n"


SORT = """
import numpy as np
from udfs.series import _sort_within_steps
v = np.array([3.0, 1.0, 2.0])
_sort_within_steps(np.zeros(3, np.int32), v)
print(*v)
"""


def test_a_change_in_one_module_reaches_the_callers_in_others(tmp_path):
    """Compiled callers keep a copy of what they call: a stale one must not be loaded."""
    shutil.copytree(ROOM, tmp_path / "udfs", ignore=shutil.ignore_patterns("__pycache__"))
    assert run(SORT, tmp_path) == "1.0 2.0 3.0\n"
    module = tmp_path / "udfs" / "order_statistics.py"
    source = module.read_text()
    changed = source.replace("while j >= 0 and x[j] > value:", "while j >= 0 and x[j] < value:")
    assert changed != source
    module.write_text(changed)
    assert run(SORT, tmp_path) == "3.0 2.0 1.0\n"


def test_compiled_functions_are_kept_between_processes(tmp_path):
    shutil.copytree(ROOM, tmp_path / "udfs", ignore=shutil.ignore_patterns("__pycache__"))
    tell = SORT + "print(sum(_sort_within_steps.stats.cache_hits.values()))"
    assert run(tell, tmp_path).endswith("\n0\n")
    assert run(tell, tmp_path).endswith("\n1\n")
