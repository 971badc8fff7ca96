"""`backstay grant`: adds to limits of a running run."""

from typing import Annotated

import typer

from ..shell.options import By, RunId, Written
from ..shell.output import Output


def grant(
    run_id: RunId,
    amounts: Annotated[
        list[str],
        typer.Argument(metavar="NAME=AMOUNT...", help="What to add: usd=0.50 steps=10 tools.send_email.calls=1."),
    ],
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; the run's audit keeps it.")],
    by: By = None,
    output: Written = Output.TABLE,
) -> int:
    """Add to limits of a running run, up to the agent's ceilings; a run that waits for room goes on.

    Only members of the group in `[approval] budget` may. Exit code: 0 granted, 1 refused by the run, 2 usage,
    4 not found, 5 Temporal unreachable.
    """
    from ..work import grant as work

    return work.grant(run_id, amounts, reason, by, output)
