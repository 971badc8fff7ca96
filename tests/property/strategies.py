"""Small values of the kernel's types: limits that are soon reached, ids that are soon repeated."""

from typing import Any

from hypothesis import strategies as st

from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind
from backstay.kernel.budget import Amount, Budget, Limits, ToolLimit
from backstay.kernel.child_events import (
    ChildBegun,
    ChildEnded,
    ChildHeld,
    ChildRefused,
    ChildReleased,
    ChildWaits,
    HandedOver,
)
from backstay.kernel.compact_events import Compacted, CompactionHeld, CompactionSettled
from backstay.kernel.events import (
    Admitted,
    ApprovalEnded,
    ApprovalOpened,
    ApprovalVoted,
    BudgetShort,
    CallEnded,
    CallHeld,
    CallJudged,
    CallOutcome,
    CallReleased,
    CancelRequested,
    Closed,
    Concluding,
    DeadlinePassed,
    Decided,
    DecisionEnded,
    DecisionHeld,
    DecisionKind,
    DecisionSettled,
    DecisionUnusable,
    Drawn,
    Event,
    ExposureExceeded,
    HistoryFull,
    Killed,
    MessageRefused,
    ModelLost,
    OutcomeLearned,
    Paused,
    Resumed,
    Tainted,
    Warned,
)
from backstay.kernel.incident_events import AlarmRaised
from backstay.kernel.meter import Bound, Excess, Exposed
from backstay.kernel.price import Price, Tier, Usage
from backstay.kernel.stop import StopReason, Thresholds
from backstay.kernel.verdict import Code, Outcome, Verdict

DIMENSIONS = ("steps", "model_calls", "tool_calls", "tokens", "usd")
TOOLS = st.sampled_from(["a", "b"])
CALL_IDS = st.sampled_from(["1-0", "1-1", "2-0"])
STEPS = st.integers(1, 3)
FEW = st.integers(0, 3)
COUNTS = st.none() | st.integers(0, 8)

METERS = st.dictionaries(st.sampled_from(["m", "n"]), FEW)
AMOUNTS = st.builds(Amount, FEW, FEW, FEW, FEW, FEW, FEW, st.dictionaries(TOOLS, FEW), METERS)
BOUNDS = st.lists(st.builds(Bound, st.integers(0, 8), st.none() | st.just("finance")), max_size=2).map(tuple)
TOOL_LIMITS = st.builds(ToolLimit, COUNTS, COUNTS)
LIMITS = st.builds(
    Limits,
    COUNTS,
    COUNTS,
    COUNTS,
    COUNTS,
    COUNTS,
    st.none(),
    st.dictionaries(st.sampled_from(["a", "b"]), TOOL_LIMITS),
    st.dictionaries(st.sampled_from(["m", "n"]), BOUNDS),
)
SHARES = st.none() | st.integers(1, 100)
THRESHOLDS = st.builds(
    Thresholds,
    *(st.integers(1, 4) for _ in range(4)),
    expiry_stops=st.booleans(),
    conclude_at=SHARES,
    wrap_up=st.booleans(),
)
VERDICTS = st.builds(
    Verdict, st.sampled_from(Outcome), st.sampled_from(Code), st.just("d"), st.just("v"), st.just(("r",)), st.just("m")
)
RATES = st.sampled_from([0, 1, 250_000, 2_000_000, 20_000_000]) | st.integers(0, 20_000_000)


def _price(first: tuple[int, int, int], longer: list[tuple[int, int, int, int]]) -> Price:
    return Price((Tier(0, *first), *(Tier(*tier) for tier in longer)))


LONGER = st.tuples(st.integers(1, 2_000), RATES, RATES, RATES)
PRICES = st.builds(_price, st.tuples(RATES, RATES, RATES), st.lists(LONGER, max_size=2))


@st.composite
def usages(draw: st.DrawFn, most_input: int = 3_000, most_output: int = 3_000) -> Usage:
    """A bill that makes sense: what was cached is part of the input."""
    read = draw(st.integers(0, most_input))
    return Usage(read, draw(st.integers(0, most_output)), draw(st.integers(0, read)))


ADMITTED = st.builds(
    Admitted,
    agent=st.just("clerk"),
    agent_version=st.just("1"),
    tenant=st.just("t"),
    requested_by=st.none(),
    model=st.just("m"),
    limits=st.just(Limits()) | LIMITS,
    thresholds=THRESHOLDS,
    price=st.none() | PRICES,
    max_output_tokens=st.integers(0, 100),
)
CALL_HELD = st.builds(CallHeld, CALL_IDS, TOOLS, st.integers(0, 200_000), FEW, METERS)
DECISION_HELD = st.builds(DecisionHeld, STEPS, st.integers(1, 3), FEW, FEW, AMOUNTS)
DECISION_SETTLED = st.builds(DecisionSettled, STEPS, AMOUNTS, FEW, FEW, FEW)
DENIED = VERDICTS.filter(lambda verdict: verdict.outcome is Outcome.DENY and not verdict.unusable)

PEOPLE = st.sampled_from(["ann", "bob", "cem", "dan"])
APPROVAL_IDS = st.sampled_from(["apr_1", "apr_2"])
SPECS = st.sampled_from(["finance", "finance:2", "legal", "legal:1", "board:3"])
APPROVALS = st.builds(
    Approval,
    approval_id=APPROVAL_IDS,
    kind=st.sampled_from(ApprovalKind),
    call_id=CALL_IDS,
    tool=TOOLS,
    digest=st.just("d"),
    groups=st.lists(SPECS, max_size=3).map(tuple),
    members=st.dictionaries(st.sampled_from(["finance", "legal", "board"]), st.lists(PEOPLE, unique=True).map(tuple)),
    requester=st.none() | PEOPLE,
    editors=st.lists(PEOPLE, max_size=1).map(tuple),
)


def call_ended(outcomes: st.SearchStrategy[CallOutcome]) -> st.SearchStrategy[Event]:
    """Ends of calls, of known and of unknown ones."""
    return st.builds(CallEnded, CALL_IDS, TOOLS, outcomes, FEW, st.booleans(), st.booleans())


def decision_ended(
    outcomes: st.SearchStrategy[CallOutcome], prints: st.SearchStrategy[Any]
) -> st.SearchStrategy[Event]:
    """Ends of decisions."""
    return st.builds(DecisionEnded, STEPS, st.lists(outcomes, max_size=3).map(tuple), prints)


MINUTES = st.dictionaries(TOOLS, FEW)
CHILD_HELD = st.builds(ChildHeld, CALL_IDS, st.just("helper"), LIMITS, AMOUNTS, st.integers(0, 200_000), MINUTES)
CHILD_ENDED = st.builds(
    ChildEnded,
    CALL_IDS,
    st.just("helper"),
    st.just("r/child"),
    st.sampled_from(["completed", "stopped", "unknown"]),
    st.none(),
    AMOUNTS,
    st.integers(0, 200_000),
    FEW,
)

NOT_FAILED = st.sampled_from([CallOutcome.COMPLETED, CallOutcome.DENIED, CallOutcome.UNKNOWN])

# Facts that nothing takes back: a stop that they give can only be followed by one that is as strong, or stronger.
MONOTONE: st.SearchStrategy[Event] = st.one_of(
    CALL_HELD,
    DECISION_HELD,
    DECISION_SETTLED,
    ADMITTED,
    st.builds(CallJudged, CALL_IDS, TOOLS, DENIED),
    call_ended(NOT_FAILED),
    decision_ended(NOT_FAILED, st.just(())),
    st.builds(CallReleased, CALL_IDS, TOOLS),
    CHILD_HELD,
    CHILD_ENDED,
    st.builds(ChildBegun, CALL_IDS, st.just("helper"), st.just("r/child")),
    st.builds(ChildReleased, CALL_IDS),
    st.builds(ChildRefused, CALL_IDS, st.just("helper"), st.just("usd"), FEW, FEW),
    st.builds(ChildWaits, CALL_IDS, st.booleans()),
    st.builds(HandedOver, CALL_IDS, st.just("helper")),
    st.builds(AlarmRaised, CALL_IDS, TOOLS, st.just("why")),
    st.builds(BudgetShort, st.sampled_from(["usd", "tokens"])),
    st.builds(CompactionHeld, STEPS, st.integers(1, 3), FEW, FEW, AMOUNTS),
    st.builds(CompactionSettled, STEPS, AMOUNTS, FEW, FEW, st.none() | st.just("nano")),
    st.builds(Compacted, STEPS, st.just("truncated"), FEW, FEW, st.just("d"), st.none(), FEW, FEW),
    st.builds(Killed, st.sampled_from(["ann", "bob"]), st.just("why")),
    st.builds(Paused, st.just("ann")),
    st.builds(Resumed, st.just("ann")),
    st.builds(DeadlinePassed, FEW),
    st.builds(HistoryFull, FEW, FEW, FEW),
    st.builds(CancelRequested),
    st.builds(ModelLost, st.sampled_from(["gone", "late"])),
    st.builds(MessageRefused, st.just("kill"), st.just("InvalidMessage")),
    st.builds(Decided, STEPS, st.just(DecisionKind.ANSWER), st.just(0)),
    st.builds(ApprovalOpened, APPROVALS),
    st.builds(ApprovalVoted, APPROVAL_IDS, PEOPLE),
    st.builds(ApprovalEnded, APPROVAL_IDS, st.sampled_from(ApprovalEnd), st.none() | PEOPLE),
    st.builds(Tainted, TOOLS),
    st.builds(Concluding, st.just("usd")),
    st.builds(Drawn, st.just("reserve-0"), st.dictionaries(st.sampled_from(["usd", "tokens"]), FEW), st.just({})),
    st.builds(Warned, FEW),
    st.builds(ExposureExceeded, CALL_IDS, TOOLS, st.just(Excess({"m": Exposed(1, 2, 2)}))),
    st.builds(OutcomeLearned, CALL_IDS, TOOLS, st.booleans()),
    st.builds(Closed, st.none() | st.sampled_from(StopReason)),
)
SELDOM: st.SearchStrategy[Event] = st.one_of(
    MONOTONE,
    call_ended(st.sampled_from(CallOutcome)),
    decision_ended(st.sampled_from(CallOutcome), st.sampled_from([(), ("p",), ("q",), ("p", "q")])),
    st.builds(CallJudged, CALL_IDS, TOOLS, VERDICTS),
    st.builds(Decided, STEPS, st.sampled_from(DecisionKind), FEW, st.none()),
    st.builds(DecisionUnusable, STEPS),
)
# Every other event holds or settles a decision: that is where faults would be.
OFTEN: st.SearchStrategy[Event] = DECISION_HELD | DECISION_SETTLED
EVENTS: st.SearchStrategy[Event] = st.booleans().flatmap(lambda often: OFTEN if often else SELDOM)


def totals(amount: Amount) -> dict[str, int]:
    """An amount, dimension by dimension, as limits count it."""
    counted = {dimension: getattr(amount, dimension) for dimension in DIMENSIONS}
    counted |= {f"tool:{tool}": count for tool, count in amount.tools.items()}
    return counted | {f"exposure:{meter}": units for meter, units in amount.exposure.items()}


def caps(limits: Limits) -> dict[str, int]:
    """The limits that are set, dimension by dimension."""
    counted = {dimension: getattr(limits, dimension) for dimension in DIMENSIONS}
    counted |= {f"tool:{tool}": limit.calls for tool, limit in limits.tools.items()}
    counted |= {f"exposure:{meter}": _lowest(bounds) for meter, bounds in limits.exposure.items()}
    return {dimension: cap for dimension, cap in counted.items() if cap is not None}


def _lowest(bounds: tuple[Bound, ...]) -> int | None:
    return min((bound.limit for bound in bounds), default=None)


def exceeded(budget: Budget, slack: dict[str, int] | None = None) -> set[str]:
    """The dimensions in which spend and holds together are above a limit, by more than an allowed slack."""
    taken = totals(budget.spent + budget.held)
    allowed = slack or {}
    return {name for name, cap in caps(budget.limits).items() if taken.get(name, 0) > cap + allowed.get(name, 0)}


def least(one: Amount, other: Amount) -> Amount:
    """The smaller of two amounts in every dimension."""
    return Amount(
        min(one.steps, other.steps),
        min(one.model_calls, other.model_calls),
        min(one.tool_calls, other.tool_calls),
        min(one.input_tokens, other.input_tokens),
        min(one.output_tokens, other.output_tokens),
        min(one.usd, other.usd),
        {tool: min(count, other.tools.get(tool, 0)) for tool, count in one.tools.items()},
        {meter: min(units, other.exposure.get(meter, 0)) for meter, units in one.exposure.items()},
    )
