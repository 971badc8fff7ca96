"""`backstay watch`: follows a run, one line per step; on a terminal with its budget below."""

import asyncio
import contextlib
from collections.abc import Generator

from rich.live import Live
from rich.text import Text

from backstay.client.run import Run
from backstay.contracts.run import RunResult, plain
from backstay.errors import BackstayError, InvalidInputError
from backstay.kernel.characters import escaped

from ..shell.connected import Connected, connected
from ..shell.exit import ExitCode, code_of_status
from ..shell.failure import explain
from ..shell.loop import run_loop
from ..shell.terminal import Output, progress, say, write, write_json_line
from ..views.follow import Follower, JsonFollower, follow_to_the_end, say_left_alone
from ..views.report import budget_table, result_table
from ..views.transcript import print_line
from ..views.voice import speaking

_REDRAW_SECONDS = 0.5


def watch(run_id: str, by: str | None, output: Output) -> int:
    """Runs `backstay watch` and returns its exit code."""
    return run_loop(_watch(run_id, by, output))


async def _watch(run_id: str, by: str | None, output: Output) -> int:
    link = await connected(patience=5.0, signs=True)
    run = link.client.run(run_id)
    await run.describe()
    page = link.link(run_id)
    say(f"run {escaped(run_id)}" + (f" · {page}" if page else ""), "bold")
    try:
        result = await _followed(run, link, by, output)
    except InvalidInputError as error:  # of whoever started the run, not of this command
        explain(error, as_json=output is Output.JSON)
        return ExitCode.FAILED
    except asyncio.CancelledError:
        say_left_alone(run_id)
        raise
    if output is Output.JSON:
        write_json_line({"result": plain(result)})
    else:
        write(result_table(result, page))
    return code_of_status(result.status)


async def _followed(run: Run, link: Connected, by: str | None, output: Output) -> RunResult:
    if output is Output.JSON:
        async with speaking(run, by, asks=False):
            return await follow_to_the_end(run, JsonFollower(run), link)
    if not progress().is_terminal:
        async with speaking(run, by):
            return await follow_to_the_end(run, Follower(run, print_line), link)
    with Live(console=progress(), refresh_per_second=4, transient=True) as live:
        drawing = asyncio.create_task(_draw(run, live))
        try:
            async with speaking(run, by, lambda: _still(live)):
                return await follow_to_the_end(run, Follower(run, live.console.print), link)
        finally:
            drawing.cancel()


@contextlib.contextmanager
def _still(live: Live) -> Generator[None]:
    """Draws nothing while a person is asked."""
    live.stop()
    try:
        yield
    finally:
        live.start()


async def _draw(run: Run, live: Live) -> None:
    while True:
        with contextlib.suppress(BackstayError):  # whoever waits for the end says what is wrong
            status = await run.status()
            table = budget_table(status.budget, status.spent, status.held, status.exposure)
            table.title = Text(f"{status.state} · step {status.step}", "bold")
            table.title_justify = "left"
            live.update(table)
        await asyncio.sleep(_REDRAW_SECONDS)
