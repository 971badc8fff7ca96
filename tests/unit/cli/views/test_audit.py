"""The audit of a run as people read it."""

import pytest
from rich.console import Console

from backstay.cli.views.audit import audit_table
from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind
from backstay.kernel.audit import AuditHead
from backstay.kernel.budget import Amount
from backstay.kernel.event import Event
from backstay.kernel.events import (
    ApprovalEnded,
    ApprovalOpened,
    CallEnded,
    CallHeld,
    CallJudged,
    CallOutcome,
    Closed,
    DecisionHeld,
    DecisionSettled,
    Killed,
    MessageRefused,
    Tainted,
    Uncounted,
)
from backstay.kernel.grantable import GrantRef
from backstay.kernel.stop import StopReason
from backstay.kernel.verdict import Code, Outcome, Verdict
from tests.unit.kernel.test_receipt import ADMITTED
from tests.unit.kernel.trails import recorded


def shown(*events: Event) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(audit_table(recorded(*events)))
    return captured.get()


def verdict(**changes: object) -> Verdict:
    given = {"outcome": Outcome.ALLOW, "code": Code.PERMITTED, "digest": "d", "policy_version": "p", **changes}
    return Verdict(**given)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (ADMITTED, ["admitted: support for acme, model m", "rita@example.com"]),
        (DecisionSettled(2, Amount(usd=1_500), 0, 0, 0), ["step 2: the model was asked", "0.0015"]),
        (CallJudged("1-0", "pay", verdict(rules=("big", "night"))), ["pay: allow", "big, night"]),
        (CallJudged("1-0", "pay", verdict(grant=GrantRef("g", "ann"))), ["pay: allow", "ann"]),
        (
            ApprovalOpened(Approval("a", ApprovalKind.ACTION, "1-0", "pay", "d", ("finance:2",), rules=("big",))),
            ["pay: asks finance:2", "big"],
        ),
        (ApprovalEnded("a", ApprovalEnd.APPROVED, "ann", "fine"), ["approval approved: fine", "ann"]),
        (ApprovalEnded("a", ApprovalEnd.EXPIRED), ["approval expired"]),
        (CallHeld("1-0", "pay", 1), ["pay: begins"]),
        (CallEnded("1-0", "pay", CallOutcome.COMPLETED, usd=20_000), ["pay: completed", "0.02"]),
        (CallEnded("1-0", "pay", CallOutcome.UNKNOWN), ["pay: unknown"]),
        (Killed("olga", "enough"), ["killed: enough", "olga"]),
        (MessageRefused("approve", "NotInGroup", "eve"), ["message refused: approve, NotInGroup", "eve"]),
        (Tainted("read_mail"), ["tainted"]),
        (Closed(StopReason.KILLED, "by olga"), ["closed: killed (by olga)"]),
        (Closed(None), ["closed: cancelled"]),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Event) else "",
)
def test_a_deed_is_one_line(event: Event, words: list[str]) -> None:
    text = shown(event)
    assert all(word in text for word in words), text
    assert len(text.splitlines()) == 2


@pytest.mark.parametrize("event", [DecisionHeld(1, 1, 1, 1, Amount()), Uncounted(("h",))])
def test_bookkeeping_is_left_out(event: Event) -> None:
    assert len(shown(event, Tainted("mail")).splitlines()) == 2


def test_no_text_of_a_person_steers_the_terminal() -> None:
    assert "\x1b" not in shown(Killed("olga\x1b[2J", "enough\nof it"))


@pytest.mark.parametrize("event", ["closed", "admitted", "call_judged", "killed", "stop"])
def test_what_governs_all_runs_has_events_of_any_name(event: str) -> None:
    facts = {"given": {"by": "olga"}, "how": "continued_as_new"}
    _, record = AuditHead().chained("2026-01-01T00:00:00.000Z", event, facts)
    console = Console(width=200)
    with console.capture() as captured:
        console.print(audit_table([record], of_run=False))
    assert event.replace("_", " ") in captured.get()
    assert "olga" in captured.get()
