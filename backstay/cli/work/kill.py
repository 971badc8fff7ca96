"""`backstay kill`: ends a run and says how it ended."""

import asyncio
import time

from backstay.client.run import Run
from backstay.client.run_filter import RunFilter
from backstay.contracts.run import RunResult, plain
from backstay.errors import (
    ConfigurationError,
    CrowdedError,
    InvalidInputError,
    NoResultError,
    NoWorkerError,
    PausedByEngineError,
    RunClosedError,
)
from backstay.kernel.stop import StopReason

from ..shell.connected import connected, person
from ..shell.ended import how_closed
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.program import program
from ..shell.terminal import Output, clean, say, word, write, write_json
from ..views.follow import how_to_unpause
from ..views.report import result_table

_WAIT_SECONDS = 10.0
_POSTED = "ordered"


def kill(run_id: str, wanted: RunFilter, reason: str | None, by: str | None, output: Output) -> int:
    """Runs `backstay kill RUN` and returns its exit code."""
    if wanted != RunFilter():
        raise ConfigurationError("a kill is of one run, or of those that match", mend="leave out RUN, or the filters")
    if reason is None or not reason.strip():
        raise ConfigurationError("a kill needs a reason", mend="write it as `--reason WHY`")
    return run_loop(_kill(run_id, person(by), reason, output))


async def _kill(run_id: str, by: str, reason: str, output: Output) -> int:
    link = await connected(patience=5.0)
    run = link.client.run(run_id)
    began, paused = time.monotonic(), False
    try:
        state = (await run.kill(by, reason)).state
        say(f"the run accepted the order: {state}")
    except RunClosedError:
        return await _closed_before(run, output)
    except CrowdedError:
        await link.client.post_kill(run_id, by, reason)
        state = _POSTED
        say("the run takes no more updates: Temporal keeps the order as a signal, and the run obeys it.")
    except NoWorkerError as error:
        await link.client.post_kill(run_id, by, reason)
        state, paused = _POSTED, isinstance(error, PausedByEngineError)
        if paused:
            say(f"the engine has paused this run, and keeps the order for it. {how_to_unpause(run_id)}")
        else:
            say("no worker answers. Temporal keeps the order, and the next worker that serves the run obeys it.")
    # Without a worker to obey the order there is nothing to wait for.
    result = await _end(run) if state != _POSTED or (not paused and await link.client.workers()) else None
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
    except (NoResultError, InvalidInputError):
        result = None
    say(f"nothing to kill: the run had closed before ({await how_closed(run)})")
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
    say(f"not closed yet; in flight: {names}. See it: {program()} show {word(run.run_id)}")
