"""Speed and memory of the warehouse's work beside a named peer, in one run.

A benchmark is a module of this folder with `run() -> list[Result]`. `python -m benchmarks` runs every one in a process of its own,
so that its peak memory is its own. Seconds differ from machine to machine and from hour to hour; only ratios of times taken in one
process, interleaved, are goals.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """One line of the table.

    work          what was done, with its size
    peer          what it is compared with
    seconds       ours, the median of several
    peer_seconds  the peer's on the same input in the same process
    goal          the largest ratio seconds / peer_seconds that is good enough; None for a peer that is there for orientation
    peak_gb       peak memory of ours in GB where it was measured apart from the peer's, else None: that of the whole process
    note          what a reader must know: agreement of the results, bytes a row
    """

    work: str
    peer: str
    seconds: float
    peer_seconds: float
    goal: float | None
    peak_gb: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float:
        return self.seconds / self.peer_seconds

    @property
    def is_reached(self) -> bool:
        return self.goal is None or self.ratio <= self.goal
