"""`backstay access`: blocks tools over all runs, allows them again, and limits the runs at once of tenants."""

from typing import Annotated

import typer

from ..shell.completion import agent_names
from ..shell.options import By, Written
from ..shell.output import Output

access = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

Tool = Annotated[str, typer.Option("--tool", help="The tool, as runs call it.")]
Agent = Annotated[str | None, typer.Option("--agent", "-a", help="For this agent alone.", autocompletion=agent_names)]
Tenant = Annotated[str | None, typer.Option("--tenant", "-t", help="For this tenant alone.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; `access list` repeats it.")]


@access.callback()
def of_all_runs() -> None:
    """Block tools over all runs of the namespace, allow them again, and limit the runs at once of tenants."""


@access.command()
def block(
    tool: Tool,
    reason: Reason,
    agent: Agent = None,
    tenant: Tenant = None,
    by: By = None,
    output: Written = Output.TABLE,
) -> int:
    """Block a tool: its calls are denied, two seconds later everywhere. Runs go on with their other tools.

    A call that runs already finishes. May be run again. Exit code: 0 blocked, 1 no worker takes the order in, 2 usage,
    5 Temporal unreachable.
    """
    from ..work import access as work

    return work.block(work.Which(tool, agent, tenant), reason, by, output)


@access.command()
def allow(
    tool: Tool,
    reason: Reason,
    agent: Agent = None,
    tenant: Tenant = None,
    by: By = None,
    output: Written = Output.TABLE,
) -> int:
    """Take back the block of the same tool, agent and tenant. Says which other blocks of the tool still stand.

    May be run again. Exit code: 0 no such block stands, 1 no worker takes the order in, 2 usage, 5 Temporal
    unreachable.
    """
    from ..work import access as work

    return work.allow(work.Which(tool, agent, tenant), reason, by, output)


@access.command()
def limit(
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="The tenant.")],
    runs: Annotated[str, typer.Option("--runs", metavar="N|none", help="The most runs at once; none: no limit.")],
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why.")],
    by: By = None,
    output: Written = Output.TABLE,
) -> int:
    """Limit how many runs of a tenant go on at once, or take the limit away.

    Exit code: 0 in force, 1 no worker takes the order in, 2 usage, 5 Temporal unreachable.
    """
    from ..work import access as work

    return work.limit(tenant, runs, reason, by, output)


@access.command("list")
def listed(output: Written = Output.TABLE) -> int:
    """List the blocked tools and the limits of tenants, with who, when and why. Needs no worker.

    Exit code: 0 listed, 5 Temporal unreachable.
    """
    from ..work import access as work

    return work.listed(output)
