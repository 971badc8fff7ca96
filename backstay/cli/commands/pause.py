"""`backstay pause` and `backstay resume`: hold a run back and let it go on."""

from typing import Annotated

import typer

from ..shell.options import By, RunId, Written
from ..shell.output import Output

Reason = Annotated[str | None, typer.Option("--reason", "-r", help="Why; the run's audit keeps it.")]


def pause(run_id: RunId, reason: Reason = None, by: By = None, output: Written = Output.TABLE) -> int:
    """Hold a run back: no new decision and no new action. A running call finishes, and the deadline clock goes on.

    Exit code: 0 paused, 4 not found, 5 Temporal unreachable.
    """
    from ..work import pause as work

    return work.pause(run_id, reason, by, output)


def resume(run_id: RunId, reason: Reason = None, by: By = None, output: Written = Output.TABLE) -> int:
    """Let a paused run go on. Exit code: 0 it goes on, 4 not found, 5 Temporal unreachable."""
    from ..work import pause as work

    return work.resume(run_id, reason, by, output)
