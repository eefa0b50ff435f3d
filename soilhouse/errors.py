"""The error that the command line shows as it is."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can put right: what is wrong, and the next step.

    `code` is the exit code: 1 for work that failed, 2 for wrong usage (also a wrong study file).
    """

    def __init__(self, problem: str, next_step: str = "", code: int = 1):
        super().__init__(problem)
        self.problem = problem
        self.next_step = next_step
        self.code = code

    def __str__(self) -> str:
        return f"{self.problem}\n{self.next_step}" if self.next_step else self.problem
