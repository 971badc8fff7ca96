"""Texts for the Temporal UI: summaries of activities, and the page of a run's current details."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from backstay.contracts.approval import PendingApproval
from backstay.contracts.decision import ProposedCall
from backstay.contracts.status import RunStatusView
from backstay.kernel.arguments import Unreadable

_SUMMARY = 180
_VALUE = 60
_BAR = 20


def call_summary(step: int, call: ProposedCall) -> str:
    """Returns a call as a line: step 3 · issue_refund(order_id='A17', amount=120)."""
    arguments = call.parsed
    inside = "…" if isinstance(arguments, Unreadable) else ", ".join(_argument(k, v) for k, v in arguments.items())
    return _cut(f"step {step} · {call.tool}({inside})", _SUMMARY)


def details(run_id: str, goal: str, status: RunStatusView) -> str:
    """Returns the run as a Markdown page: goal, state, a bar for each limit."""
    lines = [
        f"**Goal:** {_cut(' '.join(goal.split()), 300)}",
        "",
        f"**State:** {status.state} · step {status.step}"
        + (f" · stopped: `{status.stop_reason}`" if status.stop_reason else ""),
        "",
        "| budget | spent | held | left | limit | |",
        "|---|--:|--:|--:|--:|---|",
    ]
    spent, held = status.spent.model_dump(), status.held.model_dump()
    for reading in (spent, held):
        reading["tokens"] = reading["input_tokens"] + reading["output_tokens"]
    for name, limit in status.budget.model_dump(exclude={"tools"}).items():
        if limit is not None:
            lines.append(_budget(name, spent[name], held[name], limit))
    for tool, limits in status.budget.tools.items():
        if limits.calls is not None:
            lines.append(_budget(tool, status.spent.tools.get(tool, 0), status.held.tools.get(tool, 0), limits.calls))
    for approval in status.pending_approvals:
        lines += _approval(run_id, approval)
    lines += ["", 'Stop it: signal or update `kill` with `{"by": "you", "reason": "why"}`.']
    return "\n".join(lines)


def _budget(name: str, spent: str | int, held: str | int, limit: str | int) -> str:
    left = Decimal(limit) - Decimal(spent) - Decimal(held)
    return f"| {name} | {spent} | {held} | {left:f} | {limit} | {_bar(spent, limit)} |"


def _approval(run_id: str, approval: PendingApproval) -> list[str]:
    """Returns the lines of an open approval: the call, the people, and the exact command and JSON to answer it."""
    call = f"{approval.tool}({_cut(_json(approval.args), _SUMMARY)})"
    asked = f"{approval.required} of {', '.join(approval.groups)}, until {approval.expires_at}"
    update, more, command = "approve", "", f"backstay approve {run_id} {approval.approval_id}"
    if approval.kind != "action":
        update, more = "answer", ', "answer": "happened"'
        command = f"backstay answer {run_id} happened {approval.approval_id}"
    payload = f'{{"approval_id": "{approval.approval_id}", "by": "you"{more}}}'
    return [
        "",
        f"**Waits for {asked}:** `{call}`",
        *(f"- {_cut(reason, _SUMMARY)}" for reason in approval.reasons),
        f"- command: `{command}`",
        f"- or update `{update}` with `{payload}`",
    ]


def _argument(name: str, value: Any) -> str:
    shown = repr(value) if isinstance(value, str | int | float | bool | None) else _json(value)
    return f"{_cut(name, _VALUE)}={_cut(shown, _VALUE)}"


def _json(value: Mapping[str, Any] | list[Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _bar(spent: str | int, limit: str | int) -> str:
    whole = float(limit)
    share = min(1.0, float(spent) / whole) if whole else 1.0
    filled = round(share * _BAR)
    return "█" * filled + "░" * (_BAR - filled)
