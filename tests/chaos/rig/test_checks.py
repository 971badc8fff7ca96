"""Each check of the rig finds what it is there for: books that agree, with one fault planted in them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from backstay.contracts.ledger import LedgerRef, LedgerView
from backstay.contracts.run import RunResult
from backstay.kernel.audit import AuditHead
from backstay.kernel.ledger import Books
from backstay.kernel.ledger_sums import Sum, Sums
from backstay.testing import Call

from .checks import violations
from .evidence import Evidence, Other, Seen
from .plans import Plan
from .shop import Effect
from .world import Closed, Limits

LIMITS = Limits(refunds=100, run=90, acme_usd="1", organisation_usd="2", at_once=1)
NOON = 1_796_000_000
DAY = "2026-11-30"
SPENT: dict[str, Any] = {
    **{"steps": 2, "model_calls": 2, "tool_calls": 1, "input_tokens": 100, "output_tokens": 10, "usd": "0.01"},
    **{"usd_unbilled": "0.00", "seconds": 3, "tools": {}},
}
VOTE = {"approval_id": "apr", "by": "alice"}
OPENED = {"approval": {"approval_id": "apr", "call_id": "1-0", "expires_at_ms": (NOON + 60) * 1_000}}
Fact = tuple[str, Mapping[str, Any]]


def ended(outcome: str = "completed", tool: str = "transfer") -> Fact:
    return "call_ended", {"call_id": "1-0", "tool": tool, "outcome": outcome, "usd": 0, "unclear": False}


def approved(at: int = 1) -> list[tuple[int, Fact]]:
    return [
        (0, ("approval_opened", OPENED)),
        (at, ("approval_voted", VOTE)),
        (at, ("approval_ended", {"approval_id": "apr", "end": "approved"})),
        (at, ("call_held", {"call_id": "1-0", "tool": "transfer", "at_ms": 0, "usd": 0})),
        (at + 2, ended()),
    ]


def seen(
    *facts: tuple[int, Fact], run: str = "approval-1", tool: str = "transfer", tenant: str = "acme", **more: Any
) -> Seen:
    """A run that is over, with these records some seconds after noon."""
    head, audit = AuditHead(), []
    for at, (event, said) in facts:
        stamp = datetime.fromtimestamp(NOON + at, UTC).isoformat(timespec="milliseconds")
        head, record = head.chained(stamp, event, said)
        audit.append(record)
    result = {
        **{"run_id": run, "agent": "clerk", "agent_version": "1", "tenant": tenant, "status": "completed"},
        **{"stop_reason": "completed", "stop_detail": None, "answer": "done", "steps": 2, "spent": SPENT},
        **{"budget": {"usd": "0.40"}, "in_flight": [], "policy_version": "1"},
        "audit": {"records": head.records, "head": head.head},
        **more,
    }
    plan = Plan(run, run.partition("-")[0], tenant, 0, [[Call(tool, {"item": "item"})]])
    return Seen(plan, RunResult.model_validate(result), None, audit, [], 0, [], {"1-0": "item"})


def effect(at: float = 2, **more: Any) -> Effect:
    known = {"key": "k", "tool": "transfer", "run": "approval-1", "call": "1-0", "tenant": "acme", "agent": "clerk"}
    return Effect(**{**known, "item": "item", "amount": 0, "at": NOON + at, **more})


def ledger(**sums: int) -> LedgerView:
    quantities = {name.replace("refunds", "exposure:refunds_usd"): {DAY: Sum(used)} for name, used in sums.items()}
    books = Books("tenant", Sums({"tenant": quantities}))
    return LedgerView(
        ledger=LedgerRef(tenant="acme"), ready=True, books=books, limits=[], spans=[], open_holds=0, at_ms=0
    )


GOOD = Evidence(
    seen=[seen(*approved())],
    others=[Other("backstay-control", "ControlPlane", "running", [])],
    late=[],
    effects=[effect()],
    ledgers=[ledger(usd=10_000, refunds=0)],
    limits=LIMITS,
    billed={"approval-1": 4 * 10_000},
    said={"apr": ["yes"]},
    closed=[Closed("a stop", "tool:transfer", NOON + 3, NOON + 30)],
    ends=[(-9, ""), (5, "cannot reach Temporal")],
)
LAST = GOOD.seen[0]
WITHOUT_RESULT = replace(LAST, result=None, audit=[], ended="InternalError")
HELD: Fact = ("decision_held", {"step": 1, "amount": {"usd": 1}, "last_answer": None})
SETTLED: Fact = ("decision_settled", {"step": 1, "amount": {"usd": 1}})
BUSY = [seen((0, HELD), (1, SETTLED), (5, ("closed", {})), run=f"queued-{number}", tenant="busy") for number in (1, 2)]
REFUND = effect(tool="refund", amount=95)
FAULTS: dict[str, tuple[str, Evidence]] = {
    "a run that does not end": ("typed_end", replace(GOOD, late=["approval-1"])),
    "a run without a result": ("typed_end", replace(GOOD, seen=[WITHOUT_RESULT], effects=[])),
    "an effect twice": ("twice", replace(GOOD, effects=[effect(), effect()])),
    "a shared effect twice": (
        "twice",
        replace(GOOD, effects=[effect(), *(effect(tool="share", run=run, key=run) for run in ("a-1", "a-2"))]),
    ),
    "an effect that never was": ("lost", replace(GOOD, effects=[])),
    "an effect that nobody admits": ("lost", replace(GOOD, seen=[seen(*approved()[:-1], (3, ended("failed")))])),
    "a budget": ("budget", replace(GOOD, seen=[seen(*approved(), spent={**SPENT, "usd": "0.41"})])),
    "a bill": ("budget", replace(GOOD, billed={"approval-1": 4 * 10_001})),
    "a hold for ever": ("budget", replace(GOOD, seen=[seen(*approved(), (4, HELD))])),
    "a day of refunds": (
        "exposure",
        replace(GOOD, effects=[effect(), *(effect(tool="refund", run=run, amount=60) for run in ("b-1", "b-2"))]),
    ),
    "a run's refunds": ("exposure", replace(GOOD, effects=[effect(), REFUND])),
    "a ledger above its limit": ("ledger", replace(GOOD, ledgers=[ledger(usd=1_000_001)])),
    "a ledger that forgot": ("ledger", replace(GOOD, ledgers=[ledger(usd=9_999)])),
    "two runs at once": ("at_once", replace(GOOD, seen=[*GOOD.seen, *BUSY])),
    "an effect that nobody approved": ("approval", replace(GOOD, seen=[seen(*approved()[3:])])),
    "a yes that nobody said": ("approval", replace(GOOD, said={})),
    "a yes that came late": ("approval", replace(GOOD, seen=[seen(*approved(61))], effects=[effect(64)], closed=[])),
    "a yes after the end": (
        "approval",
        replace(GOOD, seen=[seen(*approved(), (4, ("approval_voted", VOTE)))]),
    ),
    "an audit that was changed": (
        "audit",
        replace(GOOD, seen=[replace(LAST, audit=[*LAST.audit[:-1], {**LAST.audit[-1], "event": "closed"}])]),
    ),
    "a task that failed": ("stuck", replace(GOOD, seen=[replace(LAST, failed_tasks=["a bug"])])),
    "a ledger that failed": ("stuck", replace(GOOD, others=[Other("backstay-ledger", "TenantLedger", "failed", [])])),
    "a decision while frozen": (
        "still",
        replace(GOOD, seen=[seen(*approved(), (4, ("frozen", {"incident": "i"})), (5, HELD), (6, SETTLED))]),
    ),
    "a run that does not wait": (
        "wait",
        replace(GOOD, seen=[seen(*approved(), status="failed", stop_detail="the control plane was lost")]),
    ),
    "an effect during a stop": ("stopped", replace(GOOD, closed=[Closed("a stop", "agent:clerk", NOON - 9)])),
    "a worker that gave up": ("worker", replace(GOOD, ends=[(1, "a traceback")])),
}


def test_books_that_agree_have_no_violation() -> None:
    assert violations(GOOD) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_by_its_check(fault: str) -> None:
    check, found = FAULTS[fault]
    names = [text.partition(":")[0] for text in violations(found)]
    assert any(check in name for name in names), violations(found)
