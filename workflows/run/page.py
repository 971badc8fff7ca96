"""Writes the page of a run for the Temporal UI: its current details, in Markdown.

INVARIANT: what a model or a caller wrote goes through `inert`, `code` or `block`: the UI renders Markdown.
"""

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from backstay.contracts.approval import MEMO_APPROVALS, PendingApproval
from backstay.contracts.budget import DIMENSIONS
from backstay.contracts.card import arguments_of, as_json, background, command, is_whole, origins_of
from backstay.contracts.exposure import over_many_runs
from backstay.contracts.run import RunRequest
from backstay.contracts.status import RunStatusView
from backstay.kernel.characters import escaped
from backstay.kernel.excerpt import on_one_line
from backstay.kernel.markdown import block, code, inert

from .people import people
from .relatives import relatives

_BAR = 8
_GOAL = 300
_ANSWER = 600
_LINE = 180
_YOU = "you@example.com"
_IN_PART = "- the call is shown in part: read it whole with `backstay show RUN -o json`, then name its digest"
_SIGNAL = "**More Actions**, **Send a Signal**"
_SEND = f"Answer it here: {_SIGNAL}"


@dataclass(frozen=True, slots=True)
class Latest:
    """The latest words of a run: the calls of its last decision with their verdicts, its answer, why it stopped."""

    calls: tuple[str, ...] = ()
    answer: str | None = None
    detail: str | None = None


def details(run_id: str, request: RunRequest, status: RunStatusView, latest: Latest, namespace: str = "default") -> str:
    """Returns the run as a Markdown page: goal, state, open approvals and how to answer them, last decision, budget.

    Args:
        run_id: the run's id.
        request: its request.
        status: where it stands.
        latest: its latest words.
        namespace: where the runs are that the page links to.
    """
    lines = [f"**Goal:** {inert(_cut(' '.join(request.goal.split()), _GOAL))}", "", *_state(request, status, latest)]
    if status.stop_explained:
        lines += ["", f"**Why:** {inert(status.stop_explained)}"]
    if status.trouble:
        lines += ["", f"**Trouble:** {_cut(status.trouble, _GOAL)}"]
    for approval in status.pending_approvals[:MEMO_APPROVALS]:
        lines += ["", *_approval(run_id, approval)]
    if (more := len(status.pending_approvals) - MEMO_APPROVALS) > 0:
        lines += ["", f"**{more} more** wait: {code(f'backstay show {shlex.quote(escaped(run_id))}')}"]
    lines += _conversation(run_id, status)
    if latest.calls:
        lines += ["", "**Last decision:**", "", *(f"- {call}" for call in latest.calls)]
    lines += [*relatives(status, namespace), "", *_budget(status), *people(status)]
    if status.state != "closed":
        lines += _STOP_IT
    return "\n".join(lines)


def _state(request: RunRequest, status: RunStatusView, latest: Latest) -> list[str]:
    told = [_words_for(status, latest), f"step {status.step}", f"agent {inert(request.agent)}"]
    told.append(f"tenant {inert(request.tenant)}")
    if status.link > 1:
        told.append(f"link {status.link} of its chain")
    if request.requested_by:
        told.append(f"asked for by {inert(request.requested_by)} (a claim)")
    lines = [f"**State:** {' · '.join(told)}"]
    if latest.answer and status.state in ("closed", "waiting_input"):
        lines += ["", f"**Answer:** {inert(_cut(' '.join(latest.answer.split()), _ANSWER))}"]
    return lines


def _conversation(run_id: str, status: RunStatusView) -> list[str]:
    """Returns how to say more to a run that is kept open; nothing where no words are taken."""
    open_now = status.conversation
    if open_now is None or open_now.closed or status.stop_reason is not None:
        return []
    who = f"who asked for it, and {inert(open_now.group)}" if open_now.group else "who asked for it"
    until = f", until {open_now.open_until}" if status.state == "waiting_input" else ", for its next decision"
    return [
        "",
        f"**Say more** (turn {open_now.turn}; {who}{until}): {_SIGNAL}, name `say`, data with your own name",
        "",
        *_json({"by": _YOU, "text": "what you want to know next"}),
        "",
        f"Or in a terminal: {code(f'backstay say {shlex.quote(escaped(run_id))} TEXT')}. It ends with "
        f"{code('--close')}, or when nobody speaks.",
    ]


def _words_for(status: RunStatusView, latest: Latest) -> str:
    """Returns where the run stands; of a closed one, how it ended."""
    if status.stop_reason is None:
        return {
            "closed": "cancelled",
            "waiting_approval": "waiting for approval",
            "waiting_input": "waiting for words",
        }.get(status.state, status.state)
    detail = f" ({inert(_cut(latest.detail, _LINE))})" if latest.detail else ""
    if status.stop_reason == "completed":
        return "completed"
    return f"{'ended' if status.state == 'closed' else status.state}: {status.stop_reason}{detail}"


def _budget(status: RunStatusView) -> list[str]:
    """Returns a table that lines up: the UI sets tables of Markdown without room between their columns."""
    spent, held, limits = status.spent, status.held, status.budget
    rows = [
        _row(name, getattr(spent, name), getattr(held, name), limit)
        for name in DIMENSIONS
        if (limit := getattr(limits, name)) is not None
    ]
    rows += [
        _row(tool, spent.tools.get(tool, 0), held.tools.get(tool, 0), limit.calls)
        for tool, limit in limits.tools.items()
        if limit.calls is not None
    ]
    rows += [
        _row(meter, spent.exposure.get(meter, "0"), held.exposure.get(meter, "0"), limit)
        for meter, limit in limits.exposure.items()
    ]
    rows += [(label, total, "-", "-", "-", "") for label, total in over_many_runs(status.exposure)]
    return block(_aligned([("budget", "spent", "held", "left", "limit", ""), *rows])) if rows else []


def _row(name: str, spent: str | int, held: str | int, limit: str | int | None) -> tuple[str, ...]:
    if limit is None:
        return name, str(spent), str(held), "-", "-", ""
    if isinstance(limit, int) and isinstance(spent, int) and isinstance(held, int):
        left = str(limit - spent - held)
    else:
        left = f"{Decimal(limit) - Decimal(spent) - Decimal(held):f}"
    return name, str(spent), str(held), left, str(limit), _bar(spent, limit)


def _aligned(rows: Iterable[tuple[str, ...]]) -> list[str]:
    table = list(rows)
    widths = [max(len(row[column]) for row in table) for column in range(5)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(row[n].rjust(widths[n]) for n in range(1, 5)), row[5]]).rstrip()
        for row in table
    ]


def _approval(run_id: str, approval: PendingApproval) -> list[str]:
    """Returns the lines of an open approval: the call, the people, and the exact JSON and command to answer it.

    A call that does not fit on one line stands on several. One that is shown in part has no JSON: it names no digest.
    """
    arguments = arguments_of(approval)
    short = f"{on_one_line(approval.tool)}({as_json(arguments)})"
    fits = is_whole(approval) and len(short) <= _LINE
    asked = f"{approval.required} of {', '.join(map(inert, approval.groups))}, until {approval.expires_at}"
    return [
        f"**Waits for {asked}:** {code(short if fits else on_one_line(approval.tool))}",
        "",
        *(f"- {code(one.line)}" for one in ([] if fits else arguments)),
        *(f"- from: {inert(_cut(line, _LINE))}" for line in origins_of(approval)),
        *(f"- {inert(_cut(reason, _LINE))}" for reason in approval.reasons),
        *(f"- {label}: {inert(text)}" for label, text in background(approval)),
        *([] if is_whole(approval) else [_IN_PART]),
        "",
        *(_answer(approval) if is_whole(approval) else []),
        f"Or in a terminal: {code(command(run_id, approval))}",
    ]


def _answer(approval: PendingApproval) -> list[str]:
    """Returns what to send: one line for each part of the UI's dialog, the data as JSON to copy."""
    data: dict[str, Any] = {"approval_id": approval.approval_id, "by": _YOU}
    if approval.releases:
        names = "name `approve` or `deny`"
    else:
        names, data = "name `answer`", {**data, "answer": "happened"}
    return [f"{_SEND}, {names}, data with your own name", "", *_json(data), ""]


def _json(data: dict[str, Any]) -> list[str]:
    """Returns JSON to copy, a line for each field: the page is narrow."""
    return block(json.dumps(data, indent=2).splitlines(), "json")


_STOP_IT = (
    "",
    "**Stop it:** **More Actions**, **Send a Signal**, name `kill`, data",
    "",
    *_json({"by": _YOU, "reason": "why"}),
)


def _bar(spent: str | int, limit: str | int) -> str:
    whole = float(limit)
    share = min(1.0, float(spent) / whole) if whole else 1.0
    filled = round(share * _BAR)
    return "█" * filled + "░" * (_BAR - filled)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
