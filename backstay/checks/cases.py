"""Reads the file `cases.toml`: calls, and the verdicts that the rules must give."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, ValidationError

from backstay.adapters.agent.folder import Agent
from backstay.adapters.agent.toml_file import read_text
from backstay.app import folders
from backstay.checks.what_if import ResultBefore, WhatIf, judged
from backstay.contracts.exposure import MeterName, Quantity
from backstay.contracts.money import Usd
from backstay.contracts.problems import UNKNOWN, Contract, problems_of
from backstay.errors import ConfigurationError
from backstay.kernel.ledger_period import Period
from backstay.kernel.meter import read_amount
from backstay.kernel.money import parse_usd
from backstay.kernel.nearest import did_you_mean
from backstay.kernel.verdict import Code, Outcome, Verdict

FILE = "cases.toml"
_HEADER = re.compile(r"\s*\[\[\s*case\s*\]\]")
_BY_RULES = frozenset({Code.FORBIDDEN, Code.NOT_PERMITTED})


class CaseSums(Contract):
    """The sums of a meter before the call, as text; the call's own amount is added.

    A text alone is the sum of the run, and those of the day and the month are at the least that one.

    Attributes:
        run: within the run.
        day: of the tenant's day.
        month: of the tenant's month.
    """

    run: Quantity = "0"
    day: Quantity | None = None
    month: Quantity | None = None

    def counted(self) -> dict[Period, int]:
        """Returns the sums over many runs that are named."""
        named = {Period.DAY: self.day, Period.MONTH: self.month}
        return {period: read_amount(text) for period, text in named.items() if text is not None}


class CaseResult(Contract):
    """A result that the run has read before the call.

    Attributes:
        tool: the tool that was called.
        args: its arguments.
        result: what it returned: text, or a value as JSON.
    """

    tool: str
    args: dict[str, Any] = Field(default_factory=dict[str, Any])
    result: Any


class CaseTable(Contract):
    """One `[[case]]`: `expect` is the expected outcome; `code`, `groups` and `rules` are compared if given.

    Attributes:
        tool: the tool that is called.
        args: its arguments.
        expect: the outcome.
        code: the verdict's code.
        groups: the approvals that would release the call, such as `finance:2`.
        rules: the ids of the deciding rules.
        name: a name for people.
        goal: the run's goal; rules see which arguments it names.
        requested_by: who asked for the run.
        tenant: the run's tenant.
        approvals: approvals that were given before.
        taint: what the run has read, such as `untrusted`.
        step: the run's step.
        spent_usd: what the run has spent.
        tool_calls: calls that the run has made.
        tool_calls_60s: calls of this tool in the last 60 seconds.
        exposure: what was counted of each meter before: `"201"`, or `{ run = "0", day = "4950" }`.
        incident: an incident is in force.
        now: the time in seconds since 1970.
        results: what the run has read before, in order.
    """

    tool: str
    args: dict[str, Any] = Field(default_factory=dict[str, Any])
    expect: Literal["allow", "deny", "require_approval"]
    code: Code | None = None
    groups: list[str] | None = None
    rules: list[str] | None = None
    name: str = ""
    goal: str = ""
    requested_by: str | None = None
    tenant: str = "default"
    approvals: list[str] = Field(default_factory=list[str])
    taint: list[str] = Field(default_factory=list[str])
    step: int = Field(default=1, ge=0)
    spent_usd: Usd = "0.00"
    tool_calls: int = Field(default=0, ge=0)
    tool_calls_60s: int = Field(default=0, ge=0)
    exposure: dict[MeterName, Quantity | CaseSums] = Field(default_factory=dict[str, str | CaseSums])
    incident: bool = False
    now: int | None = None
    results: list[CaseResult] = Field(default_factory=list[CaseResult])

    def what_if(self) -> WhatIf:
        """Returns the call to be judged."""
        beside = {"tool", "args", "expect", "code", "groups", "rules", "name", "spent_usd", "exposure", "results"}
        given: dict[str, Any] = self.model_dump(exclude=beside)
        sums = {name: CaseSums(run=one) if isinstance(one, str) else one for name, one in self.exposure.items()}
        return WhatIf(
            self.tool,
            self.args,
            spent_usd=parse_usd(self.spent_usd),
            exposure={name: read_amount(one.run) for name, one in sums.items()},
            counted={name: one.counted() for name, one in sums.items()},
            results=[ResultBefore(one.tool, one.args, one.result) for one in self.results],
            **given,
        )


class _CaseFile(Contract):
    case: list[CaseTable] = Field(default_factory=list[CaseTable])


@dataclass(frozen=True, slots=True)
class Case:
    """A case, and the place of its `[[case]]` as `file:line`."""

    where: str
    table: CaseTable


@dataclass(frozen=True, slots=True)
class Difference:
    """One part of a verdict that is not as expected."""

    what: str
    expected: str
    got: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A case after its check; `message` is that of the verdict."""

    case: Case
    differences: tuple[Difference, ...]
    message: str

    @property
    def passed(self) -> bool:
        """Tells whether the verdict is as expected."""
        return not self.differences


def read_cases(agent: Agent) -> list[Case]:
    """Reads the cases of an agent; none where it has no such file.

    Raises:
        ConfigurationError: a key is unknown, missing or does not fit; names the line.
    """
    path = agent.folder / FILE
    if not path.is_file():
        return []
    text = read_text(path)
    try:
        tables = _CaseFile.model_validate(tomllib.loads(text)).case
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"no valid TOML: {error}", where=str(path)) from None
    except ValidationError as error:
        problem = problems_of(error)[0]
        field, line = _place(text, problem.field)
        known = ", ".join(f"`{key}`" for key in CaseTable.model_fields)
        meant = did_you_mean(problem.field.rpartition(".")[2], CaseTable.model_fields)
        listed = f"{meant} known keys are {known}" if meant else f"known keys are {known}"
        mend = listed if problem.problem == UNKNOWN else None
        raise ConfigurationError(f"`{field}`: {problem.problem}", where=f"{path}:{line}", mend=mend) from None
    lines = _headers(text)
    # Cases that are not written with headers, but as an inline array, have no lines of their own.
    places = lines if len(lines) == len(tables) else [1] * len(tables)
    return [Case(f"{path}:{line}", table) for line, table in zip(places, tables, strict=True)]


def check_cases(gate: "folders.gate.Gate", agent: Agent, cases: Sequence[Case]) -> list[Checked]:
    """Judges every case by the rules in force.

    Raises:
        ConfigurationError: a case names an unknown tool, or an approval that could not be given; names its line.
    """
    return [_checked(gate, agent, case) for case in cases]


def _checked(gate: "folders.gate.Gate", agent: Agent, case: Case) -> Checked:
    try:
        verdict = judged(gate, agent, case.table.what_if()).verdict
    except ConfigurationError as error:
        raise ConfigurationError(error.what, where=case.where, mend=error.mend) from None
    return Checked(case, tuple(_differences(case.table, verdict)), verdict.message)


def _differences(table: CaseTable, verdict: Verdict) -> list[Difference]:
    found: list[Difference] = []
    if table.expect != verdict.outcome.value:
        found.append(Difference("outcome", table.expect, verdict.outcome.value))
    # A case that is denied for a slip in its own arguments says nothing about the rules.
    unmeant = table.code is None and verdict.outcome is Outcome.DENY and verdict.code not in _BY_RULES
    if unmeant or (table.code is not None and table.code != verdict.code):
        found.append(Difference("code", table.code.value if table.code else "a rule's word", verdict.code.value))
    if table.groups is not None and sorted(table.groups) != sorted(verdict.groups):
        found.append(Difference("groups", _listed(table.groups), _listed(verdict.groups)))
    if table.rules is not None and sorted(table.rules) != sorted(verdict.rules):
        found.append(Difference("rules", _listed(table.rules), _listed(verdict.rules)))
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _headers(text: str) -> list[int]:
    return [number for number, line in enumerate(text.splitlines(), 1) if _HEADER.match(line)]


def _place(text: str, field: str) -> tuple[str, int]:
    """Finds a key as its author wrote it, and its line: `case.2.tool` is the tool of the third case."""
    head, _, rest = field.partition(".")
    index, _, key = rest.partition(".")
    lines = text.splitlines()
    if head != "case" or not index.isdecimal():
        spelled = re.compile(rf'\s*\[*\s*"?{re.escape(head)}"?\s*[=\].]')
        return head, next((number for number, line in enumerate(lines, 1) if spelled.match(line)), 1)
    headers = [*_headers(text), len(lines) + 1]
    if int(index) + 1 >= len(headers):
        return key or head, 1
    begin, end = headers[int(index)], headers[int(index) + 1]
    name = key.partition(".")[0]
    spelled = re.compile(rf'\s*"?{re.escape(name)}"?\s*[=.]')
    inside = (number for number in range(begin + 1, end) if name and spelled.match(lines[number - 1]))
    return key or head, next(inside, begin)
