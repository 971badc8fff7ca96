"""`backstay pause` and `backstay resume`: hold a run back and let it go on."""

from typing import Annotated

import typer

from ..shell.connected import connected, person
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.options import By, RunId, Written
from ..shell.terminal import Output, say, write_json

Reason = Annotated[str | None, typer.Option("--reason", "-r", help="Why; the run's audit keeps it.")]


def pause(run_id: RunId, reason: Reason = None, by: By = None, output: Written = Output.TABLE) -> int:
    """Hold a run back: no new decision and no new action. A running call finishes, and the deadline clock goes on.

    Exit code: 0 paused, 4 not found, 5 Temporal unreachable.
    """
    return run_loop(_order("pause", run_id, person(by), reason, output))


def resume(run_id: RunId, reason: Reason = None, by: By = None, output: Written = Output.TABLE) -> int:
    """Let a paused run go on. Exit code: 0 it goes on, 4 not found, 5 Temporal unreachable."""
    return run_loop(_order("resume", run_id, person(by), reason, output))


async def _order(name: str, run_id: str, by: str, reason: str | None, output: Output) -> int:
    run = (await connected(patience=5.0)).client.run(run_id)
    state = (await (run.pause(by, reason) if name == "pause" else run.resume(by, reason))).state
    if output is Output.JSON:
        write_json({"run_id": run_id, "state": state})
    else:
        undo = f"; let it go on: backstay resume {run_id}" if state == "paused" else ""
        say(f"{run_id}: {state}{undo}")
    return ExitCode.COMPLETED
