"""`backstay list`: lists open runs, then closed ones, the latest first."""

from typing import Annotated

import typer

from ..shell.completion import states, stop_reasons
from ..shell.options import Agent, Tenant, Written
from ..shell.output import Output


def list(
    state: Annotated[
        str | None, typer.Option(help="Runs in this state; `closed` is all that have ended.", autocompletion=states)
    ] = None,
    agent: Agent = None,
    tenant: Tenant = None,
    stop_reason: Annotated[
        str | None, typer.Option(help="Runs that ended so, such as budget_exhausted.", autocompletion=stop_reasons)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most this many.")] = 50,
    output: Written = Output.TABLE,
) -> int:
    """List open runs, then closed ones, the last to close first. Needs no worker.

    Exit code: 0 listed, 2 there is no such state or stop reason, 5 Temporal unreachable.
    """
    from ..work import list as work

    return work.list(state, agent, tenant, stop_reason, limit, output)
