"""A list of runs says of each where it stands and why it ended, at any width."""

from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from backstay.cli.views.runs import runs_table
from backstay.client.fleet import Listed

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


def listed(**given: Any) -> Listed:
    known: dict[str, Any] = {
        "run_id": "clerk-0123456789ab",
        "execution": "completed",
        "state": "completed",
        "agent": "clerk",
        "tenant": "default",
        "stop_reason": "completed",
        "stop_detail": None,
        "pending_approvals": 0,
        "usd": "0.0132",
        "seconds": 12,
        "started_at": AT,
        "closed_at": AT,
    }
    return Listed(**{**known, **given})


def printed(width: int, *found: Listed) -> list[str]:
    out = StringIO()
    Console(file=out, width=width, highlight=False).print(runs_table(found))
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        ({"state": "stopped", "stop_reason": "budget_exhausted", "stop_detail": "usd"}, "budget_exhausted: usd"),
        ({"state": "terminated", "stop_reason": "terminated", "stop_detail": "the order was wrong"}, "the order was"),
        ({"state": "canceled", "stop_reason": "canceled"}, "canceled"),
        ({"state": "failed", "stop_reason": "invalid_input", "stop_detail": "`agent`: unknown"}, "`agent`: unknown"),
    ],
)
def test_a_run_that_did_not_complete_has_its_reason_beside_its_state(ended: dict[str, Any], words: str) -> None:
    _, line = printed(200, listed(**ended))
    assert line.split()[1] == ended["state"]
    assert words in line.partition(ended["state"])[2]


def test_what_was_spent_up_to_now_stands_in_the_line_of_its_run() -> None:
    _, line = printed(200, listed(state="running", stop_reason=None, closed_at=None, usd="0.000413", seconds=61))
    assert line.split()[2:6] == ["clerk", "default", "$0.000413", "61"]


def test_on_60_columns_each_run_is_a_block_in_which_nothing_is_cut() -> None:
    waits = listed(run_id="second", state="waiting_approval", stop_reason=None, pending_approvals=2, seconds=None)
    lines = printed(60, listed(state="stopped", stop_reason="budget_exhausted", stop_detail="tool:send_email"), waits)
    assert [lines[0], lines[4]] == ["clerk-0123456789ab", "second"]
    assert all(len(line) <= 60 for line in lines)
    shown = " ".join(" ".join(lines).split())
    assert "state stopped · reason budget_exhausted: tool:send_email · agent clerk" in shown
    assert "state waiting_approval · agent clerk · tenant default · approvals 2 · usd $0.0132" in shown
    assert "…" not in shown
