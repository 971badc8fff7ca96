"""Shows open approvals: one with everything a person needs to decide, or many as a list."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from backstay.client.fleet import Waiting
from backstay.contracts.approval import PendingApproval
from backstay.contracts.card import arguments_of, background, call_of, command, is_whole, listed, origins_of
from backstay.kernel.characters import escaped
from backstay.kernel.excerpt import on_one_line

from ..shell.program import as_typed, program
from ..shell.terminal import clean, word
from .columns import Columns

_CALL = 100


def approvals_table(waiting: Iterable[Waiting]) -> Columns:
    """Lists open approvals, one a line, or where that does not fit one a block."""
    table = Columns(("run", "approval", "call", "who", "yes", "expires in"))
    for one in waiting:
        approval = one.approval
        table.add(
            escaped(one.run_id)
            + (f" (child of {escaped(approval.parent)})" if approval.parent else "")
            + ("" if one.execution == "running" else f" ({one.execution})"),
            escaped(approval.approval_id),
            call_of(approval, _CALL),
            f"{', '.join(map(escaped, approval.groups))}: {listed(approval.approvers) or '-'}",
            f"{len(approval.answered_by)} of {approval.required}",
            left(approval),
        )
    return table


def facts(run_id: str, approval: PendingApproval) -> Table:
    """Shows everything a person needs to decide about one approval."""
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("approval", escaped(approval.approval_id))
    table.add_row("call", Text(on_one_line(approval.tool), "bold"))
    for argument in arguments_of(approval):
        table.add_row("", argument.line)
    if not is_whole(approval):
        table.add_row("", Text(f"shown in part; the whole: {program()} show {word(run_id)} -o json", "yellow"))
    for line in origins_of(approval):
        table.add_row("from", line)
    for reason in approval.reasons:
        table.add_row("why", clean(reason))
    for label, text in background(approval):
        table.add_row(label, text)
    groups = ", ".join(map(escaped, approval.groups))
    table.add_row("who", f"{approval.required} of {groups}{_so_far(approval.answered_by)}")
    table.add_row("expires in", left(approval))
    return table


def waiting_line(run_id: str, approval: PendingApproval) -> str:
    """Says who is waited for, and how one of them answers."""
    count = approval.required - len(approval.answered_by)
    groups = (f"{count} of " if count > 1 else "") + ", ".join(map(escaped, approval.groups))
    people = f" ({listed(approval.approvers)})" if approval.approvers else ""
    how = f"{as_typed(command(run_id, approval))} --by YOU"
    return f"waiting for {groups}{people}: {how} · expires in {left(approval)}"


def left(approval: PendingApproval) -> str:
    """Says how much time is left to answer."""
    seconds = int((datetime.fromisoformat(approval.expires_at) - datetime.now(UTC)).total_seconds())
    if seconds <= 0:
        return "now"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60} s"


def _so_far(people: Sequence[str]) -> str:
    return f" (yes so far: {', '.join(map(clean, people))})" if people else ""
