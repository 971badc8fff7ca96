"""`backstay watch`: follows a run, one line per step; on a terminal with its budget below."""

import asyncio
import contextlib

from rich.live import Live
from rich.text import Text

from backstay.client.run import Run
from backstay.errors import NoWorkerError

from ..shell.connected import connected
from ..shell.exit import code_of_status
from ..shell.loop import run_loop
from ..shell.options import RunId
from ..shell.terminal import clean, progress, say, write
from ..views.follow import Follower, follow_to_the_end, say_left_alone
from ..views.report import budget_table, result_table
from ..views.transcript import print_line

_REDRAW_SECONDS = 0.5


def watch(run_id: RunId) -> int:
    """Follow a run to its end: one line per step, and on a terminal its budget, drawn again as it changes.

    Ctrl-C leaves the run alone. Exit code: 0 completed, 1 failed, 3 stopped by governance, 4 not found,
    5 Temporal unreachable, 130 interrupted.
    """
    return run_loop(_watch(run_id))


async def _watch(run_id: str) -> int:
    link = await connected(patience=5.0)
    run = link.client.run(run_id)
    await run.describe()
    page = link.link(run_id)
    say(f"run {clean(run_id)}" + (f" · {page}" if page else ""), "bold")
    try:
        if progress().is_terminal:
            with Live(console=progress(), refresh_per_second=4, transient=True) as live:
                drawing = asyncio.create_task(_draw(run, live))
                try:
                    result = await follow_to_the_end(run, Follower(run, live.console.print), link)
                finally:
                    drawing.cancel()
        else:
            result = await follow_to_the_end(run, Follower(run, print_line), link)
    except asyncio.CancelledError:
        say_left_alone(run_id)
        raise
    write(result_table(result, page))
    return code_of_status(result.status)


async def _draw(run: Run, live: Live) -> None:
    while True:
        with contextlib.suppress(NoWorkerError):
            status = await run.status()
            table = budget_table(status.budget, status.spent, status.held)
            table.title = Text(f"{status.state} · step {status.step}", "bold")
            table.title_justify = "left"
            live.update(table)
        await asyncio.sleep(_REDRAW_SECONDS)
