"""`backstay result`: waits until a run ends and writes its result."""

from typing import Annotated

import typer

from ..shell.options import RunId, Written
from ..shell.output import Output


def result(
    run_id: RunId,
    timeout: Annotated[str | None, typer.Option(help="Wait no longer than this, such as 30s.")] = None,
    output: Written = Output.TABLE,
) -> int:
    """Wait until a run ends and write its result.

    Exit code: 0 completed, 1 failed or without a result, 3 stopped by governance, 4 not found, 5 Temporal unreachable,
    124 timed out, 130 interrupted.
    """
    from ..work import result as work

    return work.result(run_id, timeout, output)
