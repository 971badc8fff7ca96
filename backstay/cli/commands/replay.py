"""`backstay replay`: replays a run or a saved history against the present code."""

from typing import Annotated

import typer

from ..shell.completion import run_ids
from ..shell.options import Written
from ..shell.output import Output


def replay(
    what: Annotated[
        str,
        typer.Argument(metavar="RUN|FILE", help="A run's id, or a file with a saved history.", autocompletion=run_ids),
    ],
    output: Written = Output.TABLE,
) -> int:
    """Replay a run's history against the present code; nothing is executed, and the run is left alone.

    Write a file with `temporal workflow show -w RUN --output json`. Exit code: 0 it replays, 1 it does not and the
    first difference is shown, 2 the file holds no history of a run, 4 not found, 5 Temporal unreachable.
    """
    from ..work import replay as work

    return work.replay(what, output)
