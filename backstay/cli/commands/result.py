"""`backstay result`: waits until a run ends and writes its result."""

import asyncio
from typing import Annotated

import typer

from backstay.contracts.run import plain
from backstay.tools.declare import seconds

from ..shell.connected import connected
from ..shell.exit import ExitCode, code_of_status
from ..shell.loop import run_loop
from ..shell.options import RunId, Written
from ..shell.terminal import Output, write, write_json
from ..views.follow import say_no_end
from ..views.report import result_table


def result(
    run_id: RunId,
    timeout: Annotated[str | None, typer.Option(help="Wait no longer than this, such as 30s.")] = None,
    output: Written = Output.TABLE,
) -> int:
    """Wait until a run ends and write its result.

    Exit code: 0 completed, 1 failed, 3 stopped by governance, 4 not found, 5 Temporal unreachable, 124 timed out.
    """
    return run_loop(_result(run_id, seconds(timeout) if timeout else None, output))


async def _result(run_id: str, limit: float | None, output: Output) -> int:
    link = await connected()
    try:
        async with asyncio.timeout(limit):
            ended = await link.client.result(run_id)
    except TimeoutError:
        say_no_end(run_id, limit)
        return ExitCode.TIMED_OUT
    if output is Output.JSON:
        write_json(plain(ended))
    else:
        write(result_table(ended, link.link(run_id)))
    return code_of_status(ended.status)
