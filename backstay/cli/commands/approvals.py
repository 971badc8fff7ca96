"""`backstay approvals`: lists everything that waits for people, over all runs."""

from typing import Annotated

import typer

from ..shell.options import Written
from ..shell.output import Output


def approvals(
    what: Annotated[str, typer.Argument(metavar="[list]", show_default=False, help="May be left out.")] = "list",
    output: Written = Output.TABLE,
) -> int:
    """List the open approvals of all runs, the first to expire first. Needs no worker.

    Exit code: 0 listed, 5 Temporal unreachable.
    """
    from ..work import approvals as work

    return work.approvals(what, output)
