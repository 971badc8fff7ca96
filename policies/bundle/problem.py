"""Collects everything that is wrong with rules, so that a person mends all of it in one go."""

from collections.abc import Iterable
from dataclasses import dataclass

from backstay.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class RuleProblem:
    """One thing that is wrong: the place as `file:line`, what it is, and the mend."""

    where: str
    what: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f"; {self.mend}" if self.mend else "")


class PolicyProblems(ConfigurationError):
    """Rules that cannot be put in force; `problems` lists all that was found, one line each in the text."""

    def __init__(self, problems: Iterable[RuleProblem]) -> None:
        self.problems = sorted(set(problems), key=_place)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def _place(problem: RuleProblem) -> tuple[str, int, str]:
    file, _, line = problem.where.rpartition(":")
    return (file, int(line), problem.what) if line.isdecimal() else (problem.where, 0, problem.what)
