"""`backstay kill`: ends a run and says how it ended."""

import asyncio
import time
from typing import Annotated

import typer

from backstay.client.run import Run
from backstay.contracts.run import RunResult, plain
from backstay.errors import NoResultError, NoWorkerError, RunClosedError
from backstay.kernel.stop import StopReason

from ..shell.connected import connected, person
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.options import By, RunId, Written
from ..shell.terminal import Output, clean, say, write, write_json
from ..views.report import result_table

_WAIT_SECONDS = 10.0
_POSTED = "ordered"


def kill(
    run_id: RunId,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; the run's result and its audit keep it.")],
    by: By = None,
    output: Written = Output.TABLE,
) -> int:
    """End a run: no new decision and no new action; running calls are cancelled and waited for.

    Waits up to 10 seconds for the end and says what was in flight. Exit code: 0 killed, 1 the run had
    ended otherwise before, 4 not found, 5 Temporal unreachable, 124 the order is given but the run is still open.
    """
    return run_loop(_kill(run_id, person(by), reason, output))


async def _kill(run_id: str, by: str, reason: str, output: Output) -> int:
    link = await connected(patience=5.0)
    run = link.client.run(run_id)
    began = time.monotonic()
    try:
        state = (await run.kill(by, reason)).state
        say(f"the run accepted the order: {state}")
    except RunClosedError:
        return await _closed_before(run, output)
    except NoWorkerError:
        await link.client.post_kill(run_id, by, reason)
        state = _POSTED
        say("no worker answers. Temporal keeps the order, and the next worker that serves the run obeys it.")
    # Without a worker to obey the order there is nothing to wait for.
    result = await _end(run) if state != _POSTED or await link.client.workers() else None
    if output is Output.JSON:
        write_json(
            {"run_id": run_id, "state": "closed" if result else state, "result": plain(result) if result else None}
        )
    elif result is not None:
        say(f"closed {time.monotonic() - began:.1f} s after the order")
        write(result_table(result, link.link(run_id)))
    if result is None:
        await _say_what_runs(run)
    return ExitCode.COMPLETED if result else ExitCode.TIMED_OUT


async def _closed_before(run: Run, output: Output) -> int:
    """Reports a run that had closed before; that counts as killed only if a kill had ended it."""
    try:
        result: RunResult | None = await run.result()
        how = f"{result.status}, {result.stop_reason}"
    except NoResultError as error:
        result, how = None, error.how
    say(f"nothing to kill: the run had closed before ({how})")
    if output is Output.JSON:
        write_json({"run_id": run.run_id, "state": "closed", "result": plain(result) if result else None})
    killed = result is not None and result.stop_reason == StopReason.KILLED
    return ExitCode.COMPLETED if killed else ExitCode.FAILED


async def _end(run: Run) -> RunResult | None:
    try:
        async with asyncio.timeout(_WAIT_SECONDS):
            return await run.result()
    except TimeoutError:
        return None


async def _say_what_runs(run: Run) -> None:
    pending = (await run.describe()).pending
    names = ", ".join(f"{clean(one.activity)} (attempt {one.attempt})" for one in pending) or "nothing in flight"
    say(f"not closed yet; in flight: {names}. See it: backstay show {run.run_id}")
