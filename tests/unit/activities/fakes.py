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
from backstay.contracts.effect import CallRef, Claim, EffectInput
from backstay.contracts.history import Handed, Recorded, RunRef
from backstay.contracts.policy import PolicyCall
from backstay.contracts.problems import Problem
from backstay.errors import HistoryGoneError, InvalidInputError, ToolError
from backstay.kernel.budget import Limits
from backstay.kernel.stop import Thresholds
from backstay.kernel.verdict import Code, Outcome, Verdict
from backstay.tools import ToolCall

RUN = RunRef("refund-A17", "run-1")
BY_THE_RUN = ActivityCancellationDetails(cancel_requested=True)
BY_THE_WORKER = ActivityCancellationDetails(worker_shutdown=True)
BY_A_NEWER_ATTEMPT = ActivityCancellationDetails(not_found=True)


@dataclass(frozen=True)
class Answer:
    """What the fake policy answers to every call it is asked about."""

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
    """What a run of the agent is admitted with."""
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
    problems: list[Problem] = field(default_factory=list[Problem])
    found: Callable[[Mapping[str, Any]], dict[str, Any]] = lambda values: {}
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

    def facts(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return self.found(values)

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
    """The agent `clerk` with its tools, as they are deployed now."""

    tools: dict[str, FakeTool] = field(default_factory=dict[str, FakeTool])
    problems: list[Problem] = field(default_factory=list[Problem])

    def admission(self, request: AdmitInput) -> Admission:
        if self.problems:
            raise InvalidInputError(self.problems)
        return admission(*(tool.spec for tool in self.tools.values()), agent=request.agent)

    def tool(self, agent: str, name: str) -> FakeTool | None:
        return self.tools.get(name)


@dataclass
class FakeGate:
    """Policy that gives one answer to everything, and takes down what it was asked."""

    answer: Answer | BaseException = PERMITTED
    asked: list[PolicyCall] = field(default_factory=list[PolicyCall])
    groups: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def version(self, agent: str) -> str:
        return f"sha256:rules-of-{agent}"

    def members(self, agent: str, group: str) -> Sequence[str]:
        return self.groups[group]

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
    """What the engine keeps of runs.

    `fault` is raised by every reading, `past_fault` by a look at a run's relatives; `reads` lists the readings of
    steps. While `blocked`, the reading of an opening sets `reading` and never ends.
    """

    openings: dict[RunRef, Opening] = field(default_factory=dict[RunRef, Opening])
    inputs: dict[int, DecideInput] = field(default_factory=dict[int, DecideInput])
    decisions: dict[int, Decision] = field(default_factory=dict[int, Decision])
    results: dict[str, ToolResult] = field(default_factory=dict[str, ToolResult])
    calls: dict[tuple[RunRef, str], Handed] = field(default_factory=dict[tuple[RunRef, str], Handed])
    resets: set[RunRef] = field(default_factory=set[RunRef])
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

    async def handed(self, run: RunRef, call_id: str) -> Handed | None:
        self._check()
        return self.calls.get((run, call_id))

    async def was_reset(self, run: RunRef) -> bool:
        self._check()
        return run in self.resets

    async def relatives(self, run: RunRef) -> Sequence[RunRef]:
        self._check()
        if self.past_fault is not None:
            raise self.past_fault
        return self.others

    def _check(self) -> None:
        if self.fault is not None:
            raise self.fault


@dataclass
class FakeClaiming:
    """A claim that gets a result, an error, or (None) nothing until it is given up."""

    outcome: ToolResult | Exception | None
    left: ToolResult
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    withdrawn: bool = False
    dropped: bool = False

    async def result(self) -> ToolResult:
        self.waiting.set()
        if self.outcome is None:
            await asyncio.Event().wait()
        if isinstance(self.outcome, ToolResult):
            return self.outcome
        raise self.outcome or AssertionError("woken without an outcome")

    async def withdraw(self) -> ToolResult:
        self.withdrawn = True
        return self.left

    def drop(self) -> None:
        self.dropped = True


@dataclass(frozen=True)
class Claimed:
    """One claim as the effects were given it."""

    effect_id: str
    start: EffectInput
    claim: Claim
    earlier: str | None


@dataclass
class FakeEffects:
    """Effects that answer every claim by one claiming; `tells` is what a later attempt is to be told."""

    claiming: FakeClaiming = field(
        default_factory=lambda: FakeClaiming(
            ToolResult(status="completed", text="paid once"), ToolResult(status="cancelled", text="withdrawn")
        )
    )
    claims: list[Claimed] = field(default_factory=list[Claimed])
    tells: str | None = None
    over: bool = False
    asked_after: list[CallRef] = field(default_factory=list[CallRef])

    def claim(
        self, effect_id: str, start: EffectInput, claim: Claim, earlier: str | None, told: Callable[[str], None]
    ) -> FakeClaiming:
        self.claims.append(Claimed(effect_id, start, claim, earlier))
        if self.tells is not None:
            told(self.tells)
        return self.claiming

    async def is_over(self, call: CallRef) -> bool:
        self.asked_after.append(call)
        return self.over


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
