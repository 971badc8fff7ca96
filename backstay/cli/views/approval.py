"""Shows open approvals: one with everything a person needs to decide, or many as a list."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from backstay.client.fleet import Waiting
from backstay.contracts.approval import PendingApproval

from ..shell.terminal import clean, one_line


def approvals_table(waiting: Iterable[Waiting]) -> Table:
    """Lists open approvals, one a line."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("run", "approval", "call", "who", "yes", "expires in"):
        table.add_column(name, overflow="fold")
    for one in waiting:
        approval = one.approval
        table.add_row(
            clean(one.run_id),
            approval.approval_id,
            one_line(call_of(approval), 100),
            ", ".join(approval.groups),
            f"{len(approval.answered_by)} of {approval.required}",
            left(approval),
        )
    return table


def facts(approval: PendingApproval) -> Table:
    """Shows everything a person needs to decide about one approval."""
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("approval", approval.approval_id)
    table.add_row("call", Text(clean(approval.tool), "bold"))
    for name, value in approval.args.items():
        table.add_row("", f"{clean(name)} = {clean(repr(value))}")
    for reason in approval.reasons:
        table.add_row("why", clean(reason))
    table.add_row("rules", ", ".join(approval.rules) or "-")
    table.add_row("who", f"{approval.required} of {', '.join(approval.groups)}{_so_far(approval.answered_by)}")
    table.add_row("expires in", left(approval))
    return table


def call_of(approval: PendingApproval) -> str:
    """Spells the call on one line, as `issue_refund(order_id='A17')`."""
    inside = ", ".join(f"{name}={value!r}" for name, value in approval.args.items())
    asks = "" if approval.kind == "action" else "what became of "
    return f"{asks}{approval.tool}({inside})"


def left(approval: PendingApproval) -> str:
    """Says how much time is left to answer."""
    seconds = int((datetime.fromisoformat(approval.expires_at) - datetime.now(UTC)).total_seconds())
    if seconds <= 0:
        return "now"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60} s"


def how_to_answer(run_id: str, approval: PendingApproval) -> str:
    """Returns the command that answers the approval."""
    verb, said = ("approve", "") if approval.kind == "action" else ("answer", " happened")
    return f"backstay {verb} {run_id}{said} {approval.approval_id}"


def _so_far(people: Sequence[str]) -> str:
    return f" (yes so far: {', '.join(map(clean, people))})" if people else ""
