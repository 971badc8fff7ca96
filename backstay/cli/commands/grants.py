"""`backstay grants`: lists standing grants, which let calls through without asking, and takes them back."""

from typing import Annotated

import typer

from ..shell.completion import agent_names
from ..shell.options import By, Written
from ..shell.output import Output

grants = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@grants.callback()
def standing() -> None:
    """List and revoke standing grants, which `backstay approve RUN --grant uses=20` gives."""


@grants.command("list")
def listed(
    tenant: Annotated[str | None, typer.Option("--tenant", "-t", help="Grants of this tenant.")] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", "-a", help="Grants for this agent.", autocompletion=agent_names)
    ] = None,
    output: Written = Output.TABLE,
) -> int:
    """List standing grants with what is left of each; those that are over are shown for a day.

    Exit code: 0 listed, 5 Temporal unreachable.
    """
    from ..work import grants as work

    return work.listed(tenant, agent, output)


@grants.command()
def revoke(
    grant_id: Annotated[str, typer.Argument(metavar="ID", help="The grant, as `backstay grants list` has it.")],
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; the grant keeps it.")],
    by: By = None,
    tenant: Annotated[str | None, typer.Option("--tenant", "-t", help="Look among this tenant's alone.")] = None,
    output: Written = Output.TABLE,
) -> int:
    """Take a standing grant back: the next call asks people again. May be run again.

    Exit code: 0 revoked, 2 usage, 4 not found, 5 Temporal unreachable.
    """
    from ..work import grants as work

    return work.revoke(grant_id, reason, by, tenant, output)
