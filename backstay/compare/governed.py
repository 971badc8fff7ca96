"""Runs the governed side: an engine of its own, and a worker in a process that is started again when it is killed."""

import asyncio
import contextlib
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path

from backstay.client import BackstayClient
from backstay.contracts.run import RunRequest
from backstay.errors import ConfigurationError

from .books import Books
from .measure import End

AGENT = "clerk"
_LAST_WORDS = 500


@dataclass(frozen=True, slots=True)
class Governed:
    """The governed side while its worker serves."""

    client: BackstayClient
    books: Books
    supervisor: "Supervisor"
    watching: "asyncio.Task[None]"

    async def play(self, goals: Mapping[str, str]) -> tuple[dict[str, End], int]:
        """Plays runs side by side until each has ended.

        Args:
            goals: the goal of each run, by its name.

        Returns:
            How each run ended, and how often the worker was killed meanwhile.
        """
        before = self.supervisor.crashes
        playing = asyncio.gather(*(self._run(run, goal) for run, goal in goals.items()))
        try:
            await asyncio.wait((playing, self.watching), return_when=asyncio.FIRST_COMPLETED)
            if not playing.done():
                await self.watching  # raises what ended the worker
            return dict(zip(goals, await playing, strict=True)), self.supervisor.crashes - before
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)

    async def _run(self, run_id: str, goal: str) -> End:
        run = await self.client.start(RunRequest(goal=goal, agent=AGENT), run_id)
        result = await run.result()
        return End(result.stop_reason, result.stop_detail or "")


class Supervisor:
    """Keeps a worker running in a process of its own.

    Attributes:
        crashes: how often a worker was killed so far.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.crashes = 0
        self._environment = environment
        self._worker: Process | None = None

    async def watch(self) -> None:
        """Starts a worker, and another whenever one is killed.

        Raises:
            ConfigurationError: a worker ended by itself.
        """
        while True:
            self._worker = worker = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "backstay", "worker"),
                env=self._environment,
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=PIPE,
                start_new_session=True,
            )
            _, said = await worker.communicate()
            if worker.returncode != -signal.SIGKILL:
                words = " ".join(said.decode("utf-8", "replace").split())[-_LAST_WORDS:]
                raise ConfigurationError(f"the worker of the governed side ended: {words}")
            self.crashes += 1

    async def end(self) -> None:
        """Ends the worker."""
        worker = self._worker
        if worker is not None and worker.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                worker.kill()
            await worker.wait()


@contextlib.asynccontextmanager
async def governed_side(client: BackstayClient, environment: Mapping[str, str]) -> AsyncGenerator[Governed]:
    """Serves runs by a worker of its own until the context ends."""
    supervisor = Supervisor(environment)
    watching = asyncio.create_task(supervisor.watch())
    try:
        yield Governed(client, Books(Path(environment["SHOP_BOOKS"])), supervisor, watching)
    finally:
        watching.cancel()
        await asyncio.wait((watching,))
        await supervisor.end()
