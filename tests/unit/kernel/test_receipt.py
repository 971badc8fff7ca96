"""A receipt: what is known of one call that was made."""

from collections.abc import Sequence
from typing import Any

import pytest

from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind
from backstay.kernel.audit_file import line_of
from backstay.kernel.budget import Limits
from backstay.kernel.event import Event
from backstay.kernel.events import (
    Admitted,
    ApprovalEnded,
    ApprovalOpened,
    ApprovalVoted,
    CallEnded,
    CallHeld,
    CallJudged,
    CallOutcome,
    CallReleased,
    Paused,
)
from backstay.kernel.grantable import GrantRef
from backstay.kernel.receipt import read_receipt, receipts_of, signed
from backstay.kernel.stop import Thresholds
from backstay.kernel.verdict import Code, Outcome, Verdict

from .trails import Stamp, recorded

RUN = "refund-A17"
ADMITTED = Admitted(
    agent="support",
    agent_version="sha256:a",
    tenant="acme",
    requested_by="rita@example.com",
    model="m",
    limits=Limits(),
    thresholds=Thresholds(),
    price=None,
    max_output_tokens=100,
)


def judged(call_id: str = "1-1", outcome: Outcome = Outcome.ALLOW, **changes: Any) -> CallJudged:
    given: dict[str, Any] = {"rules": ("finance-refunds",), "digest": f"sha256:{call_id}", "policy_version": "sha256:p"}
    return CallJudged(call_id, "issue_refund", Verdict(outcome, Code.PERMITTED, **{**given, **changes}))


def asked(call_id: str = "1-1", kind: ApprovalKind = ApprovalKind.ACTION, one: str = "apr_1") -> ApprovalOpened:
    return ApprovalOpened(Approval(one, kind, call_id, "issue_refund", "sha256:d", ("finance:2",)))


HELD = CallHeld("1-1", "issue_refund", 5)
ENDED = CallEnded("1-1", "issue_refund", CallOutcome.COMPLETED, usd=1_500)
PAID = recorded(
    ADMITTED,
    judged(outcome=Outcome.REQUIRE_APPROVAL),
    asked(),
    ApprovalVoted("apr_1", "ann"),
    ApprovalVoted("apr_1", "bob"),
    ApprovalEnded("apr_1", ApprovalEnd.APPROVED, "bob"),
    judged(),
    HELD,
    ENDED,
)


def test_a_receipt_says_who_asked_and_who_approved_by_which_rule_and_what_came_of_it() -> None:
    [receipt] = receipts_of(RUN, PAID)
    assert receipt == {
        "schema": "backstay.receipt/1",
        "run_id": RUN,
        "agent": "support",
        "tenant": "acme",
        "requested_by": "rita@example.com",
        "call_id": "1-1",
        "tool": "issue_refund",
        "digest": "sha256:1-1",
        "rules": ["finance-refunds"],
        "policy_version": "sha256:p",
        "approved_by": ["ann", "bob"],
        "grant": None,
        "began": "2026-01-01T00:00:07.000Z",
        "outcome": "completed",
        "outcome_told_by": [],
        "usd": "0.0015",
        "at": "2026-01-01T00:00:08.000Z",
        "record": {"seq": 9, "hash": PAID[-1]["hash"]},
    }


@pytest.mark.parametrize(
    "events",
    [
        (judged(outcome=Outcome.DENY), CallEnded("1-1", "issue_refund", CallOutcome.DENIED)),
        (judged(), HELD, CallReleased("1-1", "issue_refund"), CallEnded("1-1", "issue_refund", CallOutcome.DENIED)),
        (CallReleased("1-1", "issue_refund"), Paused("ann")),
    ],
    ids=["denied", "released", "nothing"],
)
def test_a_call_that_was_not_made_has_no_receipt(events: Sequence[Event]) -> None:
    assert receipts_of(RUN, recorded(ADMITTED, *events)) == []


def test_only_the_approvals_of_the_call_that_let_it_through_count() -> None:
    records = recorded(
        ADMITTED,
        asked("2-1", one="apr_other"),
        ApprovalEnded("apr_other", ApprovalEnd.APPROVED, "eve"),
        asked(one="apr_denied"),
        ApprovalEnded("apr_denied", ApprovalEnd.DENIED, "dan"),
        asked(one="apr_open"),
        asked(kind=ApprovalKind.BUDGET, one="apr_budget"),
        ApprovalEnded("apr_budget", ApprovalEnd.APPROVED, "ben"),
        asked(kind=ApprovalKind.EXPOSURE, one="apr_more"),
        ApprovalEnded("apr_more", ApprovalEnd.APPROVED, "fay"),
        judged(),
        HELD,
        ENDED,
    )
    assert receipts_of(RUN, records)[0]["approved_by"] == ["fay"]


def test_who_told_what_became_of_a_lost_call_stands_in_its_receipt() -> None:
    told = (
        asked(kind=ApprovalKind.OUTCOME_UNKNOWN, one="apr_2"),
        ApprovalEnded("apr_2", ApprovalEnd.ANSWERED, "olga"),
    )
    assert receipts_of(RUN, recorded(ADMITTED, judged(), HELD, *told, ENDED))[0]["outcome_told_by"] == ["olga"]


def test_an_approval_that_nobody_ended_names_nobody() -> None:
    expired = (asked(), ApprovalEnded("apr_1", ApprovalEnd.EXPIRED))
    assert receipts_of(RUN, recorded(ADMITTED, *expired, judged(), HELD, ENDED))[0]["approved_by"] == []


def test_a_standing_grant_that_let_it_through_is_named() -> None:
    [receipt] = receipts_of(RUN, recorded(ADMITTED, judged(grant=GrantRef("grt_1", "ann")), HELD, ENDED))
    assert receipt["grant"] == {"id": "grt_1", "by": "ann"}


def test_the_time_at_which_a_call_was_first_held_stays() -> None:
    [receipt] = receipts_of(RUN, recorded(ADMITTED, judged(), HELD, HELD, ENDED))
    assert receipt["began"] == "2026-01-01T00:00:02.000Z"


def test_a_receipt_without_a_verdict_names_no_rule() -> None:
    [receipt] = receipts_of(RUN, recorded(ADMITTED, HELD, ENDED))
    assert (receipt["digest"], receipt["rules"], receipt["policy_version"]) == (None, [], None)


TEXTS = ("run_id", "call_id", "tool", "outcome", "at", "key", "public")


def test_a_signed_receipt_is_read_with_what_is_to_be_checked() -> None:
    line = signed(receipts_of(RUN, PAID)[0], Stamp())
    found = read_receipt(line[:-1])
    assert found is not None
    receipt, claim = found
    assert (receipt["tool"], claim.key) == ("issue_refund", "2026a")
    assert claim.signature == Stamp().sign(claim.signed)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        line_of({"schema": "backstay.audit/1", "key": "k", "public": "p"})[:-1],
        line_of({"schema": "backstay.receipt/1", "public": "p"})[:-1],
        line_of({"schema": "backstay.receipt/1", "key": "k"})[:-1],
        line_of({"schema": "backstay.receipt/1", "key": "k", "public": "p"})[:-1],
        line_of({**receipts_of(RUN, PAID)[0], "key": "k"})[:-1],
        line_of({**receipts_of(RUN, PAID)[0], "key": "k", "public": "p", "approved_by": [1]})[:-1],
        line_of({**receipts_of(RUN, PAID)[0], "key": "k", "public": "p", "outcome": None})[:-1],
        line_of({**{name: "x" for name in TEXTS}, "schema": "backstay.receipt/1", "approved_by": []})[:-1],
    ],
)
def test_what_is_no_receipt_is_none(line: bytes) -> None:
    assert read_receipt(line) is None


def test_a_receipt_without_a_signature_claims_one_that_holds_for_nobody() -> None:
    found = read_receipt(line_of({**receipts_of(RUN, PAID)[0], "key": "k", "public": "p"})[:-1])
    assert found is not None
    assert found[1].signature == "None"
