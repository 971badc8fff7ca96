"""`backstay result`: waits until a run ends and writes its result."""

import asyncio

from backstay.contracts.run import plain
from backstay.errors import InvalidInputError
from backstay.tools.declare import seconds

from ..shell.connected import connected
from ..shell.exit import ExitCode, code_of_status
from ..shell.failure import explain
from ..shell.loop import run_loop
from ..shell.terminal import Output, write, write_json
from ..views.follow import say_if_paused, say_no_end
from ..views.report import result_table


def result(run_id: str, timeout: str | None, output: Output) -> int:
    """Runs `backstay result` and returns its exit code."""
    return run_loop(_result(run_id, seconds(timeout) if timeout else None, output))


async def _result(run_id: str, limit: float | None, output: Output) -> int:
    link = await connected()
    await say_if_paused(link.client.run(run_id))
    try:
        async with asyncio.timeout(limit):
            ended = await link.client.result(run_id)
    except TimeoutError:
        say_no_end(run_id, limit, as_json=output is Output.JSON)
        return ExitCode.TIMED_OUT
    except InvalidInputError as error:  # of whoever started the run, not of this command
        explain(error, as_json=output is Output.JSON)
        return ExitCode.FAILED
    if output is Output.JSON:
        write_json(plain(ended))
    else:
        write(result_table(ended, link.link(run_id)))
    return code_of_status(ended.status)
