"""`backstay replay`: replays a run or a saved history against the present code."""

from pathlib import Path
from typing import Annotated

import typer

from backstay.checks.replay import first_difference, history_of_file, history_of_run

from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.terminal import clean, one_line, say, write

_LONGEST = 2_000


def replay(
    what: Annotated[str, typer.Argument(metavar="RUN|FILE", help="A run's id, or a file with a saved history.")],
) -> int:
    """Replay a run's history against the present code; nothing is executed, and the run is left alone.

    Write a file with `temporal workflow show -w RUN --output json`. Exit code: 0 it replays, 1 it does not and the
    first difference is shown, 2 the file holds no history of a run, 4 not found, 5 Temporal unreachable.
    """
    file = Path(what)
    return run_loop(_replay(what, file if file.is_file() else None))


async def _replay(what: str, file: Path | None) -> int:
    if file is not None:
        history = history_of_file(file)
    else:
        history = await history_of_run((await connected()).client.temporal, what)
    difference = await first_difference(history)
    if difference is None:
        write(f"{clean(what)} replays: {len(history.events)} events, no difference")
        return ExitCode.COMPLETED
    write(f"{clean(what)} does not replay: {one_line(difference, _LONGEST)}")
    say("a worker with this code could not take the run over", "dim")
    return ExitCode.FAILED
