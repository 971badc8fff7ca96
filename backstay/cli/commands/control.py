"""`backstay control`: shows what is in force over all runs, and confirms it after the control plane was lost."""

from typing import Annotated

import typer

from ..shell.options import By, Written
from ..shell.output import Output

control = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@control.callback()
def plane() -> None:
    """Show what is in force over all runs: stops, blocked tools, limits; and confirm it after a loss."""


@control.command()
def status(output: Written = Output.TABLE) -> int:
    """Show whether the control plane is confirmed, since when, who serves it, and all that is in force.

    After a loss it shows what was last known, too. Needs no worker. Exit code: 0 shown, 5 Temporal unreachable.
    """
    from ..work import control as work

    return work.status(output)


@control.command()
def confirm(
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why what was last known still holds.")],
    by: By = None,
    output: Written = Output.TABLE,
) -> int:
    """Put in force again what was last known, after the control plane was lost; held effects and decisions go on.

    Look at `control status` first. What was ordered since the loss stays in force. May be run again. Exit code: 0
    confirmed, 1 no worker takes the order in, 2 usage, 5 Temporal unreachable.
    """
    from ..work import control as work

    return work.confirm(reason, by, output)
