"""`backstay say`: says more to a run that its agent keeps open."""

from typing import Annotated

import typer

from ..shell.options import By, RunId, Written
from ..shell.output import Output


def say(
    run_id: RunId,
    text: Annotated[str | None, typer.Argument(metavar="[TEXT]", help="The words; left out only to close.")] = None,
    close: Annotated[bool, typer.Option("--close", help="Take no more words: the run ends with its answer.")] = False,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait for the answer and write it to stdout.")] = False,
    by: By = None,
    output: Written = Output.TABLE,
) -> int:
    """Say more to a run that waits after its answer, because its agent sets `[conversation] keep_open`.

    Only who asked for the run and members of `[conversation] speakers` may. Exit code: 0 taken, with --wait answered;
    1 refused by the run, or ended without an answer; 2 usage, 4 not found, 5 Temporal unreachable.
    """
    from ..work import say as work

    return work.say(run_id, text, by, output, close=close, wait=wait)
