"""Follows a run as it goes on: prints its transcript as it grows, until it closes."""

import asyncio
import contextlib
from collections.abc import Callable

from rich.text import Text

from backstay.client.client import Run
from backstay.client.overview import Overview
from backstay.contracts.run import RunResult, plain
from backstay.contracts.status import TranscriptItem
from backstay.errors import BackstayError, NoWorkerError, RefusedError, UnreachableError

from ..shell.connected import Connected
from ..shell.failure import START_WORKER, Failure, say_failure
from ..shell.program import as_typed, program
from ..shell.terminal import clean, say, word, write_json_line
from .transcript import lines

_POLL_SECONDS = 0.3
_SILENT_SECONDS = 2.0
"""The pause after no worker answered: the server keeps few open queries, and others ask too."""
_ALONE_SECONDS = 5.0
# A question that waits for the worker which had the run last goes to any other one after ten seconds.
_LAST_LOOK_SECONDS = 20.0


class Follower:
    """Prints the transcript of a run as it grows."""

    def __init__(self, run: Run, printed: Callable[[Text], None]) -> None:
        self.run = run
        self._print = printed
        self._seen = 0
        self.heard = asyncio.Event()
        """Set once a worker has answered."""

    async def follow(self) -> None:
        """Prints what is new again and again until it is cancelled."""
        while True:
            answered = await self.catch_up()
            await asyncio.sleep(_POLL_SECONDS if answered else _SILENT_SECONDS)

    async def catch_up(self) -> bool:
        """Prints what is new; returns False if nobody answers."""
        try:
            async for item in self.run.transcript(self._seen):
                self._seen = item.n
                self.show(item)
        except (NoWorkerError, RefusedError, UnreachableError):
            return False
        self.heard.set()
        return True

    def show(self, item: TranscriptItem) -> None:
        """Prints one item."""
        for line in lines(item):
            self._print(line)


class JsonFollower(Follower):
    """Writes the transcript of a run as JSON Lines."""

    def __init__(self, run: Run) -> None:
        super().__init__(run, lambda _: None)

    def show(self, item: TranscriptItem) -> None:
        """Writes one item."""
        write_json_line({"item": plain(item)})


async def follow_to_the_end(run: Run, follower: Follower, link: Connected | None = None) -> RunResult:
    """Prints what happens in a run until it closes, and returns its result.

    Args:
        run: the run.
        follower: prints the transcript.
        link: asks for workers, to say so if none serves the run.
    """
    beside = [asyncio.create_task(follower.follow())]
    if link is not None:
        beside.append(asyncio.create_task(_listen_for_workers(link, follower)))
    try:
        result = await run.result()
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
    await _look_once_more(follower)
    return result


async def _look_once_more(follower: Follower) -> None:
    """Prints what a run has added since the last look, and says so where no worker tells it."""
    try:
        async with asyncio.timeout(_LAST_LOOK_SECONDS):
            answered = await follower.catch_up()
            while not answered:
                await asyncio.sleep(_POLL_SECONDS)
                answered = await follower.catch_up()
    except TimeoutError:
        say(f"no worker told the last steps: {program()} transcript {word(follower.run.run_id)}", "yellow")


async def _listen_for_workers(link: Connected, follower: Follower) -> None:
    await asyncio.sleep(_ALONE_SECONDS)
    await say_if_paused(follower.run)
    if not follower.heard.is_set() and not await link.client.workers():
        queue = link.client.task_queue
        say(as_typed(f"no worker polls the task queue `{queue}` yet; {START_WORKER}. Still waiting."), "yellow")


async def say_if_paused(run: Run) -> None:
    """Says that Temporal itself has paused a run, where it has, because nothing happens until somebody unpauses it."""
    with contextlib.suppress(BackstayError):
        if (overview := await run.describe()).held_back:
            say(held_back(overview), "yellow")


def held_back(overview: Overview) -> str:
    """Returns what people are told about a run that the engine holds back."""
    return f"the engine holds this run back ({overview.state}). {how_to_unpause(overview.run_id)}"


def how_to_unpause(run_id: str) -> str:
    """Returns the sentence that says how a run which the engine paused goes on."""
    return f"It goes on after: temporal workflow unpause --workflow-id {clean(run_id)}"


def say_no_end(run_id: str, seconds: float | None, *, as_json: bool = False) -> None:
    """Says that the time to wait is over, and how to go on."""
    what = f"no end within {seconds:g} seconds"
    if as_json:
        do = f"`backstay result {word(run_id)}` waits on, `backstay kill {word(run_id)} --reason WHY` ends it"
        say_failure(Failure("TimedOut", what, "the run goes on", do), as_json=True)
    else:
        say(f"{what}; {_how_to_go_on(run_id)}")


def say_left_alone(run_id: str) -> None:
    """Says that nobody follows the run any more, and how to go on."""
    say(f"\nleft alone: {_how_to_go_on(run_id)}")


def _how_to_go_on(run_id: str) -> str:
    run = word(run_id)
    return f"the run goes on. See it: {program()} show {run} · end it: {program()} kill {run} --reason WHY"
