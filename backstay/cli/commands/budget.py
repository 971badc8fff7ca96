"""`backstay budget`: shows what runs may still spend together; needs no worker."""

from typing import Annotated

import typer

from ..shell.completion import agent_names
from ..shell.options import Written
from ..shell.output import Output

budget = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@budget.callback()
def limits() -> None:
    """Show what runs may still spend together. The limits are set under `[limits]` of org.toml."""


@budget.command()
def show(
    tenant: Annotated[str | None, typer.Option("--tenant", "-t", help="This tenant, and the organisation.")] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", "-a", help="This agent alone.", autocompletion=agent_names)
    ] = None,
    period: Annotated[str | None, typer.Option(help="`day` or `month` alone.")] = None,
    output: Written = Output.TABLE,
) -> int:
    """Show each limit over many runs: spent, held, left, the forecast at the present rate, and the dearest runs.

    Exit code: 0 shown, 2 there is no such period, 5 Temporal unreachable.
    """
    from ..work import budget as work

    return work.show(tenant, agent, period, output)
