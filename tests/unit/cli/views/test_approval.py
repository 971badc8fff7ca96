"""What a person sees of open approvals, on lines that no model can steer."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from rich.console import Console, RenderableType

from backstay.cli.views.approval import approvals_table, call_of, facts, how_to_answer, left
from backstay.client.fleet import Waiting
from backstay.contracts.approval import PendingApproval


def pending(**given: Any) -> PendingApproval:
    known: dict[str, Any] = {
        "approval_id": "ap-1",
        "kind": "action",
        "tool": "issue_refund",
        "args": {"order_id": "A17", "amount": 120},
        "digest": "sha256:0",
        "groups": ["finance"],
        "required": 2,
        "answered_by": ["alice"],
        "rules": ["refund-above-100"],
        "reasons": ["more than 100 USD"],
        "requested_at": "2025-03-03T10:00:00+00:00",
        "expires_at": in_seconds(3 * 3_600 + 65),
    }
    return PendingApproval(**{**known, **given})


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds + 0.5)).isoformat()


def printed(renderable: RenderableType) -> str:
    out = StringIO()
    Console(file=out, width=200).print(renderable)
    return out.getvalue()


def test_one_approval_is_shown_with_all_that_a_person_needs() -> None:
    shown = printed(facts(pending()))
    for word in ("ap-1", "issue_refund", "order_id = 'A17'", "amount = 120", "more than 100 USD", "refund-above-100"):
        assert word in shown
    assert "2 of finance (yes so far: alice)" in shown
    assert "3 h 1 min" in shown


def test_a_list_has_one_line_for_each() -> None:
    _, first, second = printed(
        approvals_table(
            [Waiting("r1", "support", "acme", pending()), Waiting("r2", None, None, pending(answered_by=[]))]
        )
    ).splitlines()
    assert first.split()[:2] == ["r1", "ap-1"]
    assert "1 of 2" in first
    assert "0 of 2" in second


@pytest.mark.parametrize(("seconds", "said"), [(-5, "now"), (90, "1 min 30 s"), (7_200, "2 h 0 min")])
def test_the_time_that_is_left_is_said_in_words(seconds: int, said: str) -> None:
    assert left(pending(expires_at=in_seconds(seconds))) == said


def test_a_call_is_spelled_as_code_and_a_lost_one_as_a_question() -> None:
    assert call_of(pending()) == "issue_refund(order_id='A17', amount=120)"
    assert call_of(pending(kind="outcome_unknown")).startswith("what became of issue_refund(")


@pytest.mark.parametrize(
    ("kind", "command"),
    [("action", "backstay approve r1 ap-1"), ("outcome_unknown", "backstay answer r1 happened ap-1")],
)
def test_the_command_that_answers_fits_the_kind(kind: str, command: str) -> None:
    assert how_to_answer("r1", pending(kind=kind)) == command


def test_no_text_of_a_model_steers_the_terminal() -> None:
    assert "\x1b" not in printed(facts(pending(tool="a\x1b[2J", args={"b\x1b[2J": "\x1b[2J"}, reasons=["\x1b[2J"])))
