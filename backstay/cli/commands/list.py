"""`backstay list`: lists open runs, then closed ones, the latest first."""

from collections.abc import Iterable
from typing import Annotated, get_args

import typer
from rich.table import Table

from backstay.client.fleet import Listed, RunFilter, runs
from backstay.contracts.status import State
from backstay.errors import ConfigurationError

from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.options import Agent, Tenant, Written
from ..shell.terminal import Output, clean, say, write, write_json

STATES = get_args(State)


def list(
    state: Annotated[str | None, typer.Option(help="running, waiting_approval, paused, stopping or closed.")] = None,
    agent: Agent = None,
    tenant: Tenant = None,
    stop_reason: Annotated[str | None, typer.Option(help="Runs stopped for this, such as budget_exhausted.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most this many.")] = 50,
    output: Written = Output.TABLE,
) -> int:
    """List open runs, then closed ones, the last to close first. Needs no worker.

    Exit code: 0 listed, 2 there is no such state, 5 Temporal unreachable.
    """
    return run_loop(_list(RunFilter(state, agent, tenant, stop_reason), limit, output))


async def _list(wanted: RunFilter, limit: int, output: Output) -> int:
    if wanted.state is not None and wanted.state not in STATES:
        what = f"there is no state `{clean(wanted.state)}`"
        raise ConfigurationError(what, mend=f"states are: {', '.join(STATES)}")
    link = await connected()
    found = [one async for one in runs(link.client.temporal, wanted, limit)]
    if output is Output.JSON:
        write_json({"runs": [_as_json(one) for one in found]})
    elif found:
        write(_table(found))
    else:
        say("no runs" + (" match" if wanted != RunFilter() else " yet; start one with `backstay run`"))
    if len(found) == limit and output is Output.TABLE:
        say(f"the latest {limit}; more with `--limit`", "dim")
    return ExitCode.COMPLETED


def _as_json(one: Listed) -> dict[str, object]:
    return {
        "run_id": one.run_id,
        "execution": one.execution,
        "state": one.state,
        "agent": one.agent,
        "tenant": one.tenant,
        "stop_reason": one.stop_reason,
        "pending_approvals": one.pending_approvals,
        "usd": None if one.usd is None else f"{one.usd:.6f}".rstrip("0").ljust(4, "0"),
        "started_at": one.started_at.isoformat(),
        "closed_at": one.closed_at.isoformat() if one.closed_at else None,
    }


def _table(found: Iterable[Listed]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("run", "agent", "tenant", "state", "stop reason", "approvals"):
        table.add_column(name, overflow="fold")
    table.add_column("usd", justify="right")
    table.add_column("started")
    for one in found:
        table.add_row(
            clean(one.run_id),
            clean(one.agent or "-"),
            clean(one.tenant or "-"),
            one.state or one.execution,
            one.stop_reason or "",
            str(one.pending_approvals or ""),
            "-" if one.usd is None else f"${one.usd:.4f}",
            f"{one.started_at.astimezone():%Y-%m-%d %H:%M:%S}",
        )
    return table
