"""The ports of `backstay.ports` in memory."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio.activity import ActivityCancellationDetails

from backstay.contracts.admission import Admission, AdmitInput, ModelSpec, Opening, ToolSpec
from backstay.contracts.call import Reconciled, ToolResult
from backstay.contracts.conversation import ModelReply, ModelRequest
from backstay.contracts.decision import DecideInput, Decision
from backstay.contracts.delegate import ChildEnd, ChildRef
from backstay.contracts.history import Handed, Recorded, RunRef
from backstay.contracts.policy import PolicyCall
from backstay.contracts.problems import Problem
from backstay.contracts.proof import Stance, VerifyInput, VerifyResult
from backstay.contracts.recall import Recollection
from backstay.contracts.trouble import ModelTrouble
from backstay.errors import ForeignRunError, HistoryGoneError, InvalidInputError, ToolError
from backstay.kernel.breaker import Report
from backstay.kernel.budget import Limits
from backstay.kernel.control import Block, Held, InForce, Stage
from backstay.kernel.scope import Subject
from backstay.kernel.sourcing import Sourcing
from backstay.kernel.stop import Thresholds
from backstay.kernel.verdict import Code, Outcome, Verdict
from backstay.tools import ToolCall

RUN = RunRef("refund-A17", "run-1")
BY_THE_RUN = ActivityCancellationDetails(cancel_requested=True)
BY_THE_WORKER = ActivityCancellationDetails(worker_shutdown=True)
BY_A_NEWER_ATTEMPT = ActivityCancellationDetails(not_found=True)


@dataclass(frozen=True)
class Answer:
    """Holds the fake policy's answer to every call."""

    outcome: Outcome
    code: Code
    rules: tuple[str, ...] = ()
    message: str = ""
    groups: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    observed: str = ""


PERMITTED = Answer(Outcome.ALLOW, Code.PERMITTED, ("listed-tools",))
FORBIDDEN = Answer(Outcome.DENY, Code.FORBIDDEN, ("no-refunds",), "refunds are closed")
ASK_FINANCE = Answer(Outcome.REQUIRE_APPROVAL, Code.NEEDS_APPROVAL, ("ask",), "ask finance", ("finance",))


def tool_spec(name: str = "pay", **changes: Any) -> ToolSpec:
    """A tool that pays an amount, idempotent by its key."""
    spec = ToolSpec(
        name=name,
        description="Pays an amount.",
        parameters={"type": "object"},
        digest=f"sha256:{name}",
        effect="write",
        timeout=5.0,
    )
    return spec.model_copy(update=changes)


async def paid(call: ToolCall, values: Mapping[str, Any]) -> str:
    """Pays, and says so."""
    return "paid"


async def for_ever(call: ToolCall, values: Mapping[str, Any]) -> str:
    """Never ends by itself."""
    await asyncio.Event().wait()
    return "never"


def admission(*tools: ToolSpec, agent: str = "clerk") -> Admission:
    """Returns what a run of the agent is admitted with."""
    return Admission(
        agent=agent,
        agent_version="sha256:agent",
        instructions="Be careful.",
        model=ModelSpec(name="m", api="chat", max_output_tokens=100, give_up_after=600.0, price=None),
        tools=list(tools),
        limits=Limits(),
        thresholds=Thresholds(),
        policy_version="sha256:rules",
    )


def opening(*tools: ToolSpec, **changes: Any) -> Opening:
    """A run of the agent that was asked to refund an order."""
    started = Opening(
        run_id=RUN.workflow_id,
        run_key="key",
        goal="Refund order A17.",
        agent="clerk",
        tenant="acme",
        requested_by="ann",
        metadata={"ticket": "T1"},
        admission=admission(*tools),
    )
    return started.model_copy(update=changes)


@dataclass
class FakeTool:
    """A tool; `body` is what it does, `ran` the calls that it did it for, `asked` those it was asked about."""

    spec: ToolSpec
    body: Callable[[ToolCall, Mapping[str, Any]], Awaitable[str]] = paid
    answer: Callable[[], Awaitable[Reconciled]] | None = None
    secrets: Sequence[str] = ()
    plain: bool = False
    problems: list[Problem] = field(default_factory=list[Problem])
    found: Callable[[Mapping[str, Any]], dict[str, Any]] = lambda values: {}
    adds: Callable[[Mapping[str, Any]], dict[str, Any]] = lambda values: {}
    defaults: dict[str, Any] = field(default_factory=dict[str, Any])
    ran: list[ToolCall] = field(default_factory=list[ToolCall])
    asked: list[ToolCall] = field(default_factory=list[ToolCall])
    running: asyncio.Event = field(default_factory=asyncio.Event)

    def typed(self, arguments: Mapping[str, Any]) -> dict[str, Any] | list[Problem]:
        return self.problems or {**self.defaults, **arguments}

    def held(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return dict(values)

    def identity(self, values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.defaults, **given}

    def facts(self, values: Mapping[str, Any], wanted: Callable[[str], bool]) -> dict[str, Any]:
        return {name: fact for name, fact in self.found(values).items() if wanted(name)}

    def exposure(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return self.adds(values)

    async def reconcile(self, call: ToolCall, values: Mapping[str, Any]) -> Reconciled:
        self.asked.append(call)
        self.running.set()
        return await self.answer() if self.answer else Reconciled(answer="unknown")

    async def run(self, call: ToolCall, values: Mapping[str, Any]) -> str:
        self.ran.append(call)
        self.running.set()
        return await self.body(call, values)


@dataclass
class FakeCatalog:
    """The agent `clerk` with its tools, as they are deployed now; `gone` says that it is served here no more."""

    tools: dict[str, FakeTool] = field(default_factory=dict[str, FakeTool])
    problems: list[Problem] = field(default_factory=list[Problem])
    gone: bool = False

    def serves(self, agent: str) -> bool:
        return not self.gone

    def admission(self, request: AdmitInput) -> Admission:
        if self.problems:
            raise InvalidInputError(self.problems)
        return admission(*(tool.spec for tool in self.tools.values()), agent=request.agent)

    def tool(self, agent: str, name: str, version: str = "") -> FakeTool | None:
        return self.tools.get(name)


@dataclass
class FakeGate:
    """Policy that gives one answer to everything, and takes down what it was asked."""

    answer: Answer | BaseException = PERMITTED
    asked: list[PolicyCall] = field(default_factory=list[PolicyCall])
    read: frozenset[str] | None = None
    groups: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    known: Sourcing | None = None

    def version(self, agent: str) -> str:
        return f"sha256:rules-of-{agent}"

    def members(self, agent: str, group: str) -> Sequence[str]:
        return self.groups[group]

    def reads_fact(self, agent: str, fact: str, version: str = "") -> bool:
        return self.read is None or fact in self.read

    def sourcing(self, agent: str, version: str = "") -> Sourcing | None:
        return self.known

    def judge(self, call: PolicyCall) -> Verdict:
        self.asked.append(call)
        if isinstance(self.answer, BaseException):
            raise self.answer
        said = self.answer
        return Verdict(
            said.outcome,
            said.code,
            call.digest,
            self.version(call.agent),
            said.rules,
            said.message,
            said.groups,
            said.reasons,
            said.observed,
        )


class FakeControl:
    """What is in force; tests put another state in place."""

    def __init__(self) -> None:
        self.state = InForce()

    def holds(self, stage: Stage, subject: Subject) -> Held | None:
        return self.state.holds(stage, subject)

    def blocked(self, subject: Subject) -> Block | None:
        return self.state.blocked(subject)

    def at_once(self, tenant: str) -> int | None:
        return self.state.at_once(tenant)


class FakeAttempts:
    """Tells whether runs still want their calls; `fault` is raised instead."""

    def __init__(self) -> None:
        self.wants = True
        self.fault: Exception | None = None
        self.asked: list[tuple[RunRef, str]] = []

    async def wanted(self, run: RunRef, activity_id: str) -> bool:
        self.asked.append((run, activity_id))
        if self.fault is not None:
            raise self.fault
        return self.wants


class FakeAlarms:
    """Keeps what runs were told."""

    def __init__(self) -> None:
        self.told: list[tuple[RunRef, ModelTrouble]] = []

    def model_fails(self, run: RunRef, trouble: ModelTrouble) -> None:
        self.told.append((run, trouble))


class FakeReports:
    """Keeps what breakers were told."""

    def __init__(self) -> None:
        self.told: list[Report] = []

    def tell(self, report: Report) -> None:
        self.told.append(report)


@dataclass
class FakeModels:
    """A model that gives one reply, raises one error, or (None) never answers."""

    answer: ModelReply | Exception | None = None
    requests: list[ModelRequest] = field(default_factory=list[ModelRequest])
    call_ids: list[str] = field(default_factory=list[str])
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def reply(self, agent: str, request: ModelRequest, call_id: Callable[[int], str]) -> ModelReply:
        self.requests.append(request)
        self.call_ids = [call_id(0), call_id(1)]
        self.asked.set()
        if self.answer is None:
            await asyncio.Event().wait()
        if isinstance(self.answer, ModelReply):
            return self.answer
        raise self.answer or AssertionError("woken without an answer")


@dataclass
class FakeHistory:
    """Keeps runs as the engine does.

    `fault` is raised by every reading, `past_fault` by a look at a run's relatives; `reads` lists the readings of
    steps. While `blocked`, the reading of an opening sets `reading` and never ends.
    """

    openings: dict[RunRef, Opening] = field(default_factory=dict[RunRef, Opening])
    inputs: dict[int, DecideInput] = field(default_factory=dict[int, DecideInput])
    decisions: dict[int, Decision] = field(default_factory=dict[int, Decision])
    results: dict[str, ToolResult] = field(default_factory=dict[str, ToolResult])
    recollections: dict[RunRef, Recollection] = field(default_factory=dict[RunRef, Recollection])
    calls: dict[tuple[RunRef, str], Handed] = field(default_factory=dict[tuple[RunRef, str], Handed])
    resets: set[RunRef] = field(default_factory=set[RunRef])
    left_behind: ToolResult | None = None
    others: list[RunRef] = field(default_factory=list[RunRef])
    fault: Exception | None = None
    past_fault: Exception | None = None
    blocked: bool = False
    reading: asyncio.Event = field(default_factory=asyncio.Event)
    openings_read: list[RunRef] = field(default_factory=list[RunRef])
    reads: list[int] = field(default_factory=list[int])

    async def opening(self, run: RunRef) -> Opening:
        self._check()
        self.openings_read.append(run)
        if self.blocked:
            self.reading.set()
            await asyncio.Event().wait()
        if run not in self.openings:
            raise HistoryGoneError(f"there is no run {run.workflow_id}")
        return self.openings[run]

    async def since(self, run: RunRef, step: int) -> Recorded:
        self._check()
        self.reads.append(step)
        return Recorded(
            inputs={number: given for number, given in self.inputs.items() if number > step},
            decisions={number: decision for number, decision in self.decisions.items() if number >= step},
            results={call: result for call, result in self.results.items() if int(call.split("-")[0]) >= step},
        )

    async def recalled(self, run: RunRef) -> Recollection:
        self._check()
        return self.recollections[run]

    async def handed(self, run: RunRef, call_id: str) -> Handed | None:
        self._check()
        return self.calls.get((run, call_id))

    async def effect_was_reset(self, effect: RunRef) -> bool:
        self._check()
        return effect in self.resets

    async def cut_short(self, effect: RunRef) -> ToolResult | None:
        self._check()
        return self.left_behind

    async def relatives(self, run: RunRef) -> Sequence[RunRef]:
        self._check()
        if self.past_fault is not None:
            raise self.past_fault
        return self.others

    def _check(self) -> None:
        if self.fault is not None:
            raise self.fault


@dataclass
class FakeSecrets:
    """Secrets by name; a text is scrubbed of their values."""

    values: dict[str, str] = field(default_factory=dict[str, str])

    def reader(self, tool: str, declared: Sequence[str]) -> Callable[[str], str]:
        def read(name: str) -> str:
            if name not in declared:
                raise ToolError(f"{tool} has not declared {name}")
            return self.values[name]

        return read

    def scrubbed(self, text: str) -> str:
        for name, value in self.values.items():
            text = text.replace(value, f"[secret {name}]")
        return text


@dataclass
class FakeNotifier:
    """Takes messages, or raises."""

    fault: Exception | None = None
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])

    async def send(self, agent: str, message: Mapping[str, Any]) -> None:
        if self.fault is not None:
            raise self.fault
        self.sent.append((agent, dict(message)))


@dataclass
class FakeStarts:
    """Keeps starts as the engine does: the proofs under each workflow id; `fault` is raised by every look.

    `foreign` says that no run has started this one, `ends` what is found of a child, look by look.
    """

    used: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    fault: Exception | None = None
    foreign: bool = False
    ends: list[ChildEnd | Exception | None] = field(default_factory=list[ChildEnd | Exception | None])

    async def check_parent(self, run: RunRef) -> None:
        if self.fault is not None:
            raise self.fault
        if self.foreign:
            raise ForeignRunError("no run has started it")

    async def end_of(self, parent: RunRef, child: ChildRef) -> ChildEnd | None:
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end

    async def used_before(self, run: RunRef, proof: str) -> bool:
        if self.fault is not None:
            raise self.fault
        return proof in self.used.get(run.workflow_id, set())


@dataclass
class FakeProofs:
    """A verifier of proofs: `answer` is its word on each, `asked` the questions."""

    stance: Stance = "optional"
    answer: VerifyResult = field(default_factory=VerifyResult)
    asked: list[VerifyInput] = field(default_factory=list[VerifyInput])

    async def verify(self, given: VerifyInput) -> VerifyResult:
        self.asked.append(given)
        return self.answer
