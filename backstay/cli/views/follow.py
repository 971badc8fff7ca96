"""Follows a run as it goes on: prints its transcript as it grows, until it closes."""

import asyncio
import contextlib
from collections.abc import Callable

from rich.text import Text

from backstay.client.client import Run
from backstay.contracts.run import RunResult
from backstay.errors import NoWorkerError, RefusedError

from ..shell.connected import Connected
from ..shell.terminal import say
from .transcript import lines

_POLL_SECONDS = 0.3
_SILENT_SECONDS = 2.0
"""The pause after no worker answered: the server keeps few open queries, and others ask too."""
_ALONE_SECONDS = 5.0
_LAST_LOOK_SECONDS = 10.0


class Follower:
    """Prints the transcript of a run as it grows."""

    def __init__(self, run: Run, printed: Callable[[Text], None]) -> None:
        self._run = run
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
        """Prints what is new; returns False if no worker answers."""
        try:
            async for item in self._run.transcript(self._seen):
                self._seen = item.n
                for line in lines(item):
                    self._print(line)
        except (NoWorkerError, RefusedError):
            return False
        self.heard.set()
        return True


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
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LAST_LOOK_SECONDS):
            await follower.catch_up()
    return result


async def _listen_for_workers(link: Connected, follower: Follower) -> None:
    await asyncio.sleep(_ALONE_SECONDS)
    if not follower.heard.is_set() and not await link.client.workers():
        queue = link.client.task_queue
        say(f"no worker polls the task queue `{queue}` yet; start one with `backstay worker`. Still waiting.", "yellow")


def say_no_end(run_id: str, seconds: float | None) -> None:
    """Says that the time to wait is over, and how to go on."""
    say(f"no end within {seconds:g} seconds; {_how_to_go_on(run_id)}")


def say_left_alone(run_id: str) -> None:
    """Says that nobody follows the run any more, and how to go on."""
    say(f"\nleft alone: {_how_to_go_on(run_id)}")


def _how_to_go_on(run_id: str) -> str:
    return f"the run goes on. See it: backstay show {run_id} · end it: backstay kill {run_id} --reason WHY"
