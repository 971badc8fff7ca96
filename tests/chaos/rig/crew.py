"""Worker processes that are killed and frozen, and started again whenever they end."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from ..worker_process import ROOT

AGAIN = 0.2
"""The seconds before a worker that has ended is started again."""
SHORT_LINKS = {"BACKSTAY_LINK_EVENTS": "24"}
"""Every second worker admits runs that go on in another link of their chain after each step or two."""


@dataclass(slots=True)
class Hand:
    """A worker: one process after the other; `own` is its part of the environment."""

    log: Path
    own: Mapping[str, str] = field(default_factory=dict[str, str])
    process: asyncio.subprocess.Process | None = None
    frozen: bool = False

    def send(self, what: signal.Signals) -> None:
        """Sends its process a signal, if there is one."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(what)

    def kill(self) -> None:
        """Ends its process in the middle of whatever it does."""
        self.send(signal.SIGKILL)

    async def freeze(self, seconds: float) -> None:
        """Stops its process for a time; one that is killed meanwhile starts afresh."""
        if self.frozen:
            return
        self.frozen = True
        self.send(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.frozen = False
            self.send(signal.SIGCONT)


@dataclass(slots=True)
class Crew:
    """All workers; `ends` are the exit codes of processes that ended, with the last words of those by themselves."""

    environment: dict[str, str]
    hands: list[Hand]
    ends: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])

    @classmethod
    @contextlib.asynccontextmanager
    async def at_work(cls, environment: dict[str, str], folder: Path, count: int) -> AsyncGenerator[Self]:
        """Keeps so many workers running."""
        own: list[Mapping[str, str]] = [{} if number % 2 else SHORT_LINKS for number in range(count)]
        crew = cls(environment, [Hand(folder / f"worker-{number}.log", one) for number, one in enumerate(own)])
        watching = [asyncio.create_task(crew._keep(hand)) for hand in crew.hands]
        try:
            yield crew
        finally:
            for one in watching:
                one.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            for hand in crew.hands:
                hand.kill()
                if hand.process is not None:
                    await hand.process.wait()

    async def _keep(self, hand: Hand) -> None:
        while True:
            with hand.log.open("ab") as log:
                # In a session of its own: a stopped member can get a whole group of processes hung up.
                hand.process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "worker.py"),
                    cwd=ROOT,
                    env={**self.environment, **hand.own},
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            code = await hand.process.wait()
            words = hand.log.read_text(errors="replace")[-600:] if code != -signal.SIGKILL else ""
            self.ends.append((code, words))
            await asyncio.sleep(AGAIN)
