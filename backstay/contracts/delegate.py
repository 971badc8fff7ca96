"""A run as the tool of another: what its parent hands down, and what both tell each other."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import Field

from backstay.kernel.arguments import Unreadable
from backstay.kernel.budget import Limits
from backstay.kernel.carving import Report
from backstay.kernel.meter import read_sum
from backstay.kernel.money import parse_usd
from backstay.kernel.stop import RunStatus

from . import names
from .budget import Count
from .decision import ProposedCall
from .money import Usd
from .problems import Contract, Problem, read_only
from .run import Name, RunRequest, RunResult

Depth = Annotated[int, Field(ge=0, le=10, strict=True)]
Seconds = Annotated[int, Field(ge=0, le=10**9, strict=True)]


class DelegateSpec(Contract):
    """Says how a run may delegate, as it was admitted.

    `depth` is how many levels of child runs there may be below it, `at_once` how many children run side by side, and
    `hand_over` says that the answer of a child is the run's own.
    """

    agents: list[str]
    depth: int
    at_once: int
    hand_over: bool = False


class ChildBudget(Contract):
    """The budget that a call of `delegate` asks for; what it leaves out is an equal share of what is left.

    Attributes:
        usd: US dollars, as text: `"0.10"`.
        tokens: input and output tokens together.
        steps: turns of the loop.
        tool_calls: calls of tools.
        seconds: seconds since the start.
    """

    usd: Usd | None = None
    tokens: Count | None = None
    steps: Count | None = None
    tool_calls: Count | None = None
    seconds: Seconds | None = None

    def limits(self) -> Limits:
        """Returns the same limits as the kernel counts them."""
        return Limits(
            steps=self.steps,
            tool_calls=self.tool_calls,
            tokens=self.tokens,
            usd=None if self.usd is None else parse_usd(self.usd),
            seconds=self.seconds,
        )


class DelegateArguments(Contract):
    """The arguments of `delegate`."""

    agent: Name
    goal: Annotated[str, Field(min_length=1, max_length=32_000, strict=True)]
    budget: ChildBudget | None = None

    @property
    def asked(self) -> Limits:
        """The limits that are asked for; None in a dimension asks for a share."""
        return self.budget.limits() if self.budget else Limits()

    @classmethod
    def of(cls, call: ProposedCall) -> "DelegateArguments | None":
        """Reads the arguments of a call; None where they do not fit, which its verdict says."""
        if isinstance(call.parsed, Unreadable):
            return None
        read = read_only(cls, (call.parsed,), "arguments")
        return read if isinstance(read, DelegateArguments) else None


class Above(Contract):
    """An agent with a run above: its rules hold for the calls of the runs below it too."""

    agent: str
    version: str


class ParentRun(Contract):
    """Holds what a run hands down to its child.

    `goal` is what a person asked for: that of the first run above. `limits` are carved from the parent's budget.
    `depth` is how many levels there may be below the child. `tools` are those that every run above has. `labels` are
    those of what the parent has read.
    """

    run_id: str
    call_id: str
    goal: str
    limits: Limits
    depth: Depth
    tools: list[str]
    above: list[Above]
    labels: list[str] = Field(default_factory=list[str])
    taint: list[str] = Field(default_factory=list[str])
    proven: bool = False
    search_attributes: bool = True


class ChildRequest(RunRequest):
    """The input of a run that another one starts."""

    parent: ParentRun

    @classmethod
    def of(cls, request: RunRequest, arguments: DelegateArguments, parent: ParentRun) -> "ChildRequest":
        """Returns the request of a child: requester, tenant and metadata are those of its parent."""
        return cls(
            goal=arguments.goal,
            agent=arguments.agent,
            tenant=request.tenant,
            requested_by=request.requested_by,
            metadata=dict(request.unsigned().metadata),
            parent=parent,
        )


def parent_of(request: RunRequest) -> ParentRun | None:
    """Returns what a run above handed down; None where there is none."""
    return request.parent if isinstance(request, ChildRequest) else None


def agents_above(parent: ParentRun | None) -> list[str] | None:
    """Returns the agents of all runs above; None where no run is above."""
    return None if parent is None else [one.agent for one in parent.above]


def asked_by_person(request: RunRequest) -> str:
    """Returns what a person asked for: the goal of a child was written by a model."""
    parent = parent_of(request)
    return request.goal if parent is None else parent.goal


def read_start(args: tuple[Any, ...], parent: str | None) -> RunRequest | list[Problem]:
    """Reads the arguments of a start; anything but one fitting object is a list of problems.

    Args:
        args: the arguments.
        parent: the workflow that the engine names as the parent; None where it names none. Only then is anything taken
            that a parent hands down.
    """
    if parent is None or not _is_handed_down(args):
        return RunRequest.read(args)
    request = read_only(ChildRequest, args, "inputs")
    if isinstance(request, ChildRequest) and request.parent.run_id != parent:
        return [Problem(field="parent.run_id", problem="is not the workflow that has started this one")]
    return request


def recorded_start(given: object) -> RunRequest | list[Problem]:
    """Reads the input of a run that was admitted, as its history has it, in whichever link of its chain."""
    asked = handed_request(given)
    return read_start((asked,), named_parent(asked))


def handed_request(given: object) -> object:
    """Returns the request in the input of a link that goes on with a run; any other input as it is."""
    if not isinstance(given, dict):
        return given
    handed = cast("dict[str, object]", given)
    return handed["request"] if set(handed) == {"request", "carried"} else handed


def _is_handed_down(args: tuple[Any, ...]) -> bool:
    return len(args) == 1 and isinstance(args[0], dict) and "parent" in args[0]


def named_parent(given: object) -> str | None:
    """Returns the parent that a recorded request names; None where it names none."""
    parent = cast("dict[str, object]", given).get("parent") if isinstance(given, dict) else None
    named = cast("dict[str, object]", parent).get("run_id") if isinstance(parent, dict) else None
    return named if isinstance(named, str) else None


class ParentOrder(Contract):
    """Tells what a parent wants of its child: the same as was wanted of itself.

    Attributes:
        do: `pause`, `resume`, `stop`, `freeze` or `thaw`; the last three are those of an incident.
        by: who wanted it of the parent.
        reason: why.
        incident: the incident, where it is one.
    """

    do: Literal["pause", "resume", "stop", "freeze", "thaw"]
    by: Annotated[str, Field(min_length=1, max_length=500)]
    reason: Annotated[str, Field(max_length=4_000)] = ""
    incident: Annotated[str, Field(max_length=200)] = ""


class ChildStanding(Contract):
    """Tells a parent that its child waits for people, or does not any more.

    Attributes:
        call_id: the call that asked for the child.
        execution: the engine's id of the child's execution.
        waits: whether it waits.
    """

    call_id: Annotated[str, Field(max_length=100)]
    execution: Annotated[str, Field(max_length=100)]
    waits: Annotated[bool, Field(strict=True)]


class ChildRef(Contract):
    """Names a child run: the call that asked for it, and its workflow id."""

    call_id: str
    run_id: str


class ChildEnd(Contract):
    """The end of a child run: its result, or why it was `refused` before it began; neither where it left no result."""

    result: RunResult | None = None
    refused: str | None = None

    @property
    def answered(self) -> bool:
        """True where it came to its end with an answer."""
        return self.result is not None and self.result.status == RunStatus.COMPLETED

    @property
    def words(self) -> str:
        """The words of its result for the model: its answer, or why it stopped."""
        if self.result is None:
            return ""
        return self.result.answer or "" if self.answered else words_of(self.result)

    def report(self) -> Report | None:
        """Returns the end as the parent's kernel counts it; None where nobody knows what was spent."""
        if self.result is not None:
            return report_of(self.result)
        return None if self.refused is None else Report("refused", "invalid_input")


def ending_of(kind: str | None, message: str, details: Sequence[object]) -> ChildEnd:
    """Reads how a child failed.

    Args:
        kind: the type of its error.
        message: the words of the error.
        details: its details; those of a run that was admitted hold its result.
    """
    if kind in (names.INVALID_INPUT, names.INCIDENT_STOP):
        return ChildEnd(refused=f"not executed: the agent could not be asked: {message}")
    result = read_only(RunResult, tuple(details), "results")
    return ChildEnd(result=result) if isinstance(result, RunResult) else ChildEnd()


def report_of(result: RunResult) -> Report:
    """Returns the end of a run as its parent's kernel counts it.

    What may have happened of a meter counts as if it had.
    """
    meters = {name: read_sum(sums["run"]) for name, sums in result.exposure.items() if "run" in sums}
    return Report(
        status=result.status,
        stop_reason=result.stop_reason,
        spent=result.spent.amount(meters),
        usd_unbilled=parse_usd(result.spent.usd_unbilled),
        records=result.audit.records,
        head=result.audit.head,
    )


def words_of(result: RunResult) -> str:
    """Returns what the model reads of a child that gave no answer: its stop reason in words."""
    why = f"{result.stop_reason}" + (f": {result.stop_detail}" if result.stop_detail else "")
    left = f"; its last answer was: {result.answer}" if result.answer else ""
    return f"the agent `{result.agent}` was stopped without having done what it was asked for ({why}){left}"
