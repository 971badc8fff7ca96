"""`backstay approvals`: one list of everything that waits for people, over all runs."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from backstay.client.fleet import Waiting, waiting_approvals
from backstay.contracts.approval import PendingApproval
from backstay.contracts.run import plain
from backstay.errors import ConfigurationError

from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.terminal import Output, clean, one_line, say, write, write_json


def approvals(
    what: Annotated[str, typer.Argument(metavar="[list]", show_default=False, help="May be left out.")] = "list",
    output: Annotated[Output, typer.Option("--output", "-o", help="How they are written.")] = Output.TABLE,
) -> int:
    """List the open approvals of all runs, the first to expire first. Needs no worker.

    Exit code: 0 listed, 5 Temporal unreachable.
    """
    if what != "list":
        raise ConfigurationError(f"there is no `approvals {what}`", mend="write `backstay approvals`")
    return run_loop(_approvals(output))


async def _approvals(output: Output) -> int:
    link = await connected()
    waiting = await waiting_approvals(link.client.temporal)
    if output is Output.JSON:
        write_json(
            {"approvals": [{"run_id": one.run_id, "agent": one.agent, **plain(one.approval)} for one in waiting]}
        )
    elif waiting:
        write(_table(waiting))
        say(f"answer one: backstay approve {waiting[0].run_id}   ·   backstay deny {waiting[0].run_id}", "dim")
    else:
        say("nothing waits for approval")
    return ExitCode.COMPLETED


def _table(waiting: Iterable[Waiting]) -> Table:
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
    """Everything a person needs to decide about one approval."""
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
    """The call in one line."""
    inside = ", ".join(f"{name}={value!r}" for name, value in approval.args.items())
    asks = "" if approval.kind == "action" else "what became of "
    return f"{asks}{approval.tool}({inside})"


def left(approval: PendingApproval) -> str:
    """How long people still have."""
    seconds = int((datetime.fromisoformat(approval.expires_at) - datetime.now(UTC)).total_seconds())
    if seconds <= 0:
        return "now"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60} s"


def _so_far(people: Sequence[str]) -> str:
    return f" (yes so far: {', '.join(map(clean, people))})" if people else ""
