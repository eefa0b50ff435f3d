"""The error of what leaves the warehouse: what is wrong and the next step, in the user's words."""

from __future__ import annotations


class ServingError(Exception):
    """Something could not leave the warehouse: `problem` says what and why, `next_step` what to do about it."""

    def __init__(self, problem: str, next_step: str = ""):
        super().__init__(problem)
        self.problem = problem
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.problem}\n{self.next_step}" if self.next_step else self.problem
