"""Every event leaves a record: its name, and facts that JSON can carry without loss."""

import inspect
import json
from dataclasses import fields
from typing import Any

import pytest

from backstay.kernel import events
from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind
from backstay.kernel.audit import canonical
from backstay.kernel.budget import Amount, Limits, ToolLimit
from backstay.kernel.events import CallOutcome, DecisionKind, Event
from backstay.kernel.ledger_period import Period
from backstay.kernel.ledger_sums import Crossing
from backstay.kernel.meter import Bound, Excess, Exposed
from backstay.kernel.price import Price, Tier
from backstay.kernel.stop import StopReason, Thresholds
from backstay.kernel.verdict import Code, Outcome, Verdict

AMOUNT = Amount(1, 2, 3, 4, 5, 6, {"pay": 7}, {"refunds": 8})
LIMITS = Limits(1, 2, 3, 4, 5, 6, {"pay": ToolLimit(7, None)}, {"refunds": (Bound(8), Bound(9, "finance"))})
PRICE = Price((Tier(0, 1, 2, 3), Tier(9, 1, 2, 3)))
VERDICT = Verdict(Outcome.DENY, Code.FORBIDDEN, "sha256:d", "sha256:v", ("r",), "no", ("finance:2",), ("why",))
APPROVAL = Approval("apr_1", ApprovalKind.ACTION, "1-0", "pay", "d", ("finance:2",), {"finance": ("ann", "bob")})

ONE_OF_EACH: dict[str, Event] = {
    "admitted": events.Admitted("clerk", "1", "t", None, "m", LIMITS, Thresholds(), PRICE, 100),
    "decision_held": events.DecisionHeld(1, 3, 10, 20, AMOUNT, AMOUNT),
    "decision_settled": events.DecisionSettled(1, AMOUNT, 7, 1, 30),
    "decided": events.Decided(1, DecisionKind.MALFORMED, 2, "cut"),
    "call_judged": events.CallJudged("1-0", "pay", VERDICT),
    "call_held": events.CallHeld("1-0", "pay", 1_700_000_000_000, 5, {"refunds": 5}, {"refunds": 9}),
    "call_ended": events.CallEnded("1-0", "pay", CallOutcome.UNKNOWN, 5),
    "decision_ended": events.DecisionEnded(1, (CallOutcome.UNKNOWN,), ("sha",)),
    "tainted": events.Tainted("web"),
    "call_released": events.CallReleased("1-0", "pay"),
    "approval_opened": events.ApprovalOpened(APPROVAL),
    "approval_voted": events.ApprovalVoted("apr_1", "ann", "fine"),
    "approval_ended": events.ApprovalEnded("apr_1", ApprovalEnd.APPROVED, "ann"),
    "outcome_learned": events.OutcomeLearned("1-0", "pay", happened=True),
    "concluding": events.Concluding("usd"),
    "model_changed": events.ModelChanged("nano", PRICE, "near_limit"),
    "wraps_up": events.WrapsUp("usd"),
    "warned": events.Warned(2),
    "decision_unusable": events.DecisionUnusable(1),
    "budget_short": events.BudgetShort("usd"),
    "granted": events.Granted("ann", "more", Limits(usd=5), LIMITS, "apr_1"),
    "exposure_exceeded": events.ExposureExceeded("1-0", "pay", Excess({"refunds": Exposed(4, 5, 8)}, ("finance",))),
    "killed": events.Killed("ann", "enough"),
    "paused": events.Paused("ann"),
    "resumed": events.Resumed("ann", "go on"),
    "deadline_passed": events.DeadlinePassed(900),
    "history_full": events.HistoryFull(10_000_000, 70, 6),
    "cancel_requested": events.CancelRequested(),
    "model_lost": events.ModelLost("timed out"),
    "message_refused": events.MessageRefused("kill", "InvalidMessage"),
    "claim_proven": events.ClaimProven("approve", "ann"),
    "drawn": events.Drawn("reserve-0", {"usd": 5}, {Period.DAY: "2026-11-30"}),
    "counted": events.Counted("1-0", "pay", "meter-1-0-0-c", {"refunds": {Period.DAY: 9}}, {Period.DAY: "2026-11-30"}),
    "uncounted": events.Uncounted(("meter-1-0-0-c",)),
    "limit_neared": events.LimitNeared(Crossing("usd:tenant:day", "tenant", "2026-11-30", 80, 85, 100)),
    "closed": events.Closed(StopReason.KILLED, "by ann"),
}


def scalars(value: Any) -> list[Any]:
    """Every key and value in some facts that is no container."""
    if isinstance(value, dict):
        return [scalar for pair in value.items() for part in pair for scalar in scalars(part)]
    if isinstance(value, list | tuple):
        return [scalar for part in value for scalar in scalars(part)]
    return [value]


def test_the_table_here_holds_every_event() -> None:
    kinds = {kind for _, kind in inspect.getmembers(events, inspect.isclass) if issubclass(kind, Event)}
    assert kinds - {Event} == {type(event) for event in ONE_OF_EACH.values()}


@pytest.mark.parametrize(("name", "event"), ONE_OF_EACH.items(), ids=ONE_OF_EACH.keys())
def test_an_event_is_recorded_under_its_name_in_snake_case(name: str, event: Event) -> None:
    assert event.name() == name


@pytest.mark.parametrize("event", ONE_OF_EACH.values(), ids=ONE_OF_EACH.keys())
def test_the_facts_of_an_event_are_json_without_floats(event: Event) -> None:
    facts = event.facts()
    assert all(isinstance(scalar, str | int | None) for scalar in scalars(facts))
    assert canonical(json.loads(json.dumps(facts))) == canonical(facts)


def test_facts_keep_everything_that_was_decided() -> None:
    facts = json.loads(canonical(ONE_OF_EACH["call_judged"].facts()))
    assert (facts["call_id"], facts["tool"]) == ("1-0", "pay")
    assert facts["verdict"]["outcome"] == "deny"
    assert facts["verdict"]["rules"] == ["r"]
    assert facts["verdict"]["groups"] == ["finance:2"]
    assert set(facts["verdict"]) == {field.name for field in fields(Verdict)}
