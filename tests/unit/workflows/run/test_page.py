"""The page of a run in the Temporal UI, as people read it."""

import json
from typing import Any

import pytest

from backstay.contracts.approval import PendingApproval
from backstay.contracts.budget import LimitsInForce, Spent, ToolBudget
from backstay.contracts.exposure import ShownExposure
from backstay.contracts.run import RunRequest
from backstay.contracts.status import RunStatusView
from backstay.kernel.budget import Amount
from workflows.run.page import Latest, details

NOTHING = Spent.of(Amount(), 0)
ASKED = PendingApproval(
    approval_id="apr_1",
    kind="action",
    tool="refund",
    args={"order": "A17"},
    digest="sha256:d",
    groups=["finance"],
    required=2,
    answered_by=[],
    approvers=["alice@example.com", "bob@example.com"],
    rules=["large"],
    reasons=["needs approval by `finance:2`: `large` (more than 100)"],
    requested_at="2026-05-01T12:00:00.000Z",
    expires_at="2026-05-01T13:00:00.000Z",
)
DATA = {"approval_id": "apr_1", "by": "you@example.com"}
OPEN = RunStatusView(
    state="running",
    step=2,
    agent_version=None,
    spent=NOTHING,
    held=NOTHING,
    budget=LimitsInForce(steps=5, usd="0.25"),
    stop_reason=None,
)


def page(
    *asked: PendingApproval,
    run_id: str = "run-1",
    goal: str = "Refund order A17.",
    latest: Latest | None = None,
    **status: Any,
) -> list[str]:
    view = OPEN.model_copy(update={"pending_approvals": list(asked), **status})
    return details(run_id, RunRequest(goal=goal), view, latest or Latest()).splitlines()


def sent(lines: list[str]) -> list[object]:
    """Returns the messages that the page says to send, read from its blocks of JSON."""
    return [json.loads(part.split("```")[0]) for part in "\n".join(lines).split("```json\n")[1:]]


def test_a_plain_goal_is_plain_text_and_any_other_is_code() -> None:
    assert page()[0] == "**Goal:** Refund order A17."
    assert page(goal="# Refund\n\n<img src=x>")[0] == "**Goal:** `# Refund <img src=x>`"


def test_the_budget_lines_up() -> None:
    spent = NOTHING.model_copy(update={"steps": 2, "usd": "0.013200", "tools": {"refund": 1}})
    lines = page(spent=spent, budget=OPEN.budget.model_copy(update={"tools": {"refund": ToolBudget(calls=3)}}))
    at = lines.index("```text")
    assert lines[at + 1 : at + 6] == [
        "budget     spent  held      left  limit",
        "steps          2     0         3      5  ███░░░░░",
        "usd     0.013200  0.00  0.236800   0.25  ░░░░░░░░",
        "refund         1     0         2      3  ███░░░░░",
        "```",
    ]


def test_an_open_approval_says_how_to_answer_it_and_who_may() -> None:
    lines = page(ASKED)
    assert '**Waits for 2 of finance, until 2026-05-01T13:00:00.000Z:** `refund({"order": "A17"})`' in lines
    assert "- ``needs approval by `finance:2`: `large` (more than 100)``" in lines
    assert "- may answer: `alice@example.com, bob@example.com`" in lines
    assert "Or in a terminal: `backstay approve run-1 apr_1`" in lines
    assert DATA in sent(lines)
    assert any("name `approve` or `deny`" in line for line in lines)


def test_what_became_of_a_call_is_answered_with_a_signal_of_its_own() -> None:
    lines = page(ASKED.model_copy(update={"kind": "outcome_unknown"}))
    assert any("name `answer`" in line for line in lines)
    assert {**DATA, "answer": "happened"} in sent(lines)


def test_the_command_quotes_a_run_that_a_shell_would_misread() -> None:
    lines = page(ASKED.model_copy(update={"kind": "outcome_unknown"}), run_id="a `b`; rm -rf ~")
    assert "Or in a terminal: ``backstay answer 'a `b`; rm -rf ~' happened apr_1``" in lines


def test_a_call_that_does_not_fit_on_a_line_stands_on_several_and_has_its_json() -> None:
    lines = page(ASKED.model_copy(update={"args": {"a": "x" * 150, "b": "y" * 150}}))
    assert f'- `a = "{"x" * 150}"`' in lines
    assert DATA in sent(lines)


def test_a_call_that_is_shown_in_part_has_a_command_with_its_digest_and_no_json() -> None:
    lines = page(ASKED.model_copy(update={"args": {"order": "A17", "body": "x" * 5_000}}))
    assert '- `order = "A17"`' in lines
    assert "Or in a terminal: `backstay approve run-1 apr_1 --digest sha256:d`" in lines
    assert DATA not in sent(lines)
    assert any("in part" in line for line in lines)


def test_of_many_open_approvals_the_page_counts_those_it_leaves_out() -> None:
    lines = page(*[ASKED] * 24)
    assert sum("Waits for" in line for line in lines) == 20
    assert "**4 more** wait: `backstay show run-1`" in lines


def test_an_open_run_says_how_to_stop_it_and_a_closed_one_how_it_ended() -> None:
    assert any("name `kill`" in line for line in page())
    lines = page(
        state="closed", stop_reason="completed", latest=Latest(calls=("pay(5) · allowed",), answer="Done. *All* of it.")
    )
    assert "**State:** completed · step 2 · agent default · tenant default" in lines
    assert "**Answer:** `Done. *All* of it.`" in lines
    assert "- pay(5) · allowed" in lines
    assert not any("kill" in line for line in lines)


@pytest.mark.parametrize(
    ("status", "latest", "words"),
    [
        ({"state": "waiting_approval"}, Latest(), "waiting for approval"),
        ({"state": "closed"}, Latest(), "cancelled"),
        ({"state": "closed", "stop_reason": "budget_exhausted"}, Latest(detail="usd"), "ended: budget_exhausted (usd)"),
        ({"state": "stopping", "stop_reason": "killed"}, Latest(), "stopping: killed"),
    ],
)
def test_the_state_is_told_in_words(status: dict[str, Any], latest: Latest, words: str) -> None:
    assert any(line.startswith(f"**State:** {words} · ") for line in page(latest=latest, **status))


def test_a_run_that_its_budget_ended_says_why_in_figures() -> None:
    why = "the next decision may cost up to 0.012, 0.004 is left: raise usd or lower max_output_tokens"
    assert f"**Why:** {why}" in page(state="closed", stop_reason="budget_exhausted", stop_explained=why)


def test_trouble_and_the_requester_are_told() -> None:
    assert "**Trouble:** no worker serves it" in page(trouble="no worker serves it")
    request = RunRequest(goal="go", requested_by="ann@example.com")
    lines = details("run-1", request, OPEN, Latest()).splitlines()
    assert any("asked for by `ann@example.com` (a claim)" in line for line in lines)


def test_meters_stand_below_the_budget_also_without_a_limit() -> None:
    spent = NOTHING.model_copy(update={"exposure": {"refunds_usd": "99.5"}})
    held = NOTHING.model_copy(update={"exposure": {"vouchers": "1"}})
    budget = LimitsInForce(steps=5, exposure={"refunds_usd": "500", "vouchers": None})
    exposure = {"refunds_usd": {"run": "99.5", "day": "4950"}, "vouchers": {"run": "1"}}
    lines = page(spent=spent, held=held, budget=budget, exposure=exposure)
    at = lines.index("```text")
    assert lines[at + 1 : at + 6] == [
        "budget                        spent  held   left  limit",
        "steps                             0     0      5      5  ░░░░░░░░",
        "refunds_usd                    99.5     0  400.5    500  ██░░░░░░",
        "vouchers                          0     1      -      -",
        "refunds_usd, tenant this day   4950     -      -      -",
    ]


def test_an_approval_that_a_limit_asks_for_is_answered_with_a_yes_and_shows_the_sums() -> None:
    meters = {"refunds_usd": ShownExposure(before="495", after="594", limit="500")}
    lines = page(ASKED.model_copy(update={"kind": "exposure", "exposure": meters}))
    assert any("name `approve` or `deny`" in line for line in lines)
    assert any("495 before, 594 with this call, the limit is 500" in line for line in lines)
