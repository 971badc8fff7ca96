"""What a person sees of open approvals, on lines that no model can steer."""

import re
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from rich.console import Console, RenderableType

from backstay.cli.views.approval import approvals_table, facts, left, waiting_line
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


def printed(renderable: RenderableType, width: int = 200) -> str:
    out = StringIO()
    Console(file=out, width=width).print(renderable)
    return out.getvalue()


def test_one_approval_is_shown_with_all_that_a_person_needs() -> None:
    shown = printed(facts("r1", pending(approvers=["alice@example.com", "bob"])))
    for word in ("ap-1", "issue_refund", 'order_id = "A17"', "amount = 120", "more than 100 USD", "refund-above-100"):
        assert word in shown
    assert "2 of finance (yes so far: alice)" in shown
    assert re.search(r"^may answer +alice@example.com, bob +$", shown, re.MULTILINE)
    assert "3 h 1 min" in shown


def test_who_is_waited_for_and_how_they_answer_stands_on_one_line() -> None:
    line = waiting_line("r1", pending(required=1, answered_by=[], approvers=["alice@example.com", "bob\x1b[2J"]))
    assert line.startswith("waiting for finance (alice@example.com, bob\\u001b[2J): backstay approve r1 ap-1 --by YOU")
    assert line.endswith("expires in 3 h 1 min")


def test_where_several_are_needed_the_line_says_how_many_are_still_missing() -> None:
    several = pending(required=3, answered_by=["alice"], approvers=["bob", "carol"])
    assert waiting_line("r1", several).startswith("waiting for 2 of finance (bob, carol): ")
    assert waiting_line("r1", pending(answered_by=["alice"])).startswith("waiting for finance: ")


def test_a_call_with_an_unknown_outcome_is_waited_for_by_its_own_command() -> None:
    assert "backstay answer r1 happened ap-1 --by YOU" in waiting_line("r1", pending(kind="outcome_unknown"))


def test_a_list_names_the_approvers() -> None:
    assert "finance: bob, carol" in printed(
        approvals_table([Waiting("r1", None, None, pending(approvers=["bob", "carol"]))])
    )


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


def test_a_call_that_is_shown_in_part_says_where_the_whole_is() -> None:
    assert "in part" not in printed(facts("r1", pending()))
    assert "shown in part; the whole: backstay show 'r 1' -o json" in printed(
        facts("r 1", pending(args={"body": "x" * 201}))
    )


def test_no_text_of_a_model_steers_the_terminal() -> None:
    shown = pending(tool="a\x1b[2J", args={"b\x1b[2J": "\x1b[2J"}, reasons=["\x1b[2J"], groups=["\x1b[2J"])
    assert "\x1b" not in printed(facts("r1", shown))
    assert "\x1b" not in printed(approvals_table([Waiting("r\x1b[2J", None, None, shown)]))


def test_on_60_columns_a_list_is_a_block_for_each_approval() -> None:
    waiting = [Waiting(f"ticket-{n}-of-a-long-name", None, None, pending(approvers=["bob"])) for n in (1, 2)]
    lines = printed(approvals_table(waiting), 60).splitlines()
    assert [line.rstrip() for line in lines[:3]] == [
        "ticket-1-of-a-long-name",
        '  approval ap-1 · call issue_refund(order_id="A17",',
        "  amount=120) · who finance: bob · yes 1 of 2 · expires in 3",
    ]
