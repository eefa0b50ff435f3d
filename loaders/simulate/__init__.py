"""The simulated basin of `make demo`: a truth that is known, as files of real formats.

`simulate(folder)` writes them, `loads(folder)` lists what to load, in order. See docs/simulated_basin.md.
"""

from __future__ import annotations

from loaders.simulate.files import simulate
from loaders.simulate.loads import Load, loads
from loaders.simulate.truth import Truth

__all__ = ["Load", "Truth", "loads", "simulate"]
