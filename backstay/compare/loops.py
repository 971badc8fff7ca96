"""Runs the loop's side: its process, and a supervisor that starts again what a killed process had not finished."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backstay.errors import ConfigurationError

from .books import Books
from .measure import ANSWERED, CUT_OFF, End

if TYPE_CHECKING:
    from .players import Job  # loads the model's client, which only the process of the loops needs

_MOST_CRASHES = 3


@dataclass(slots=True)
class Loops:
    """The process in which loops run, and the files that it shares with us."""

    process: Process
    books: Books
    model: str
    cut_off: Callable[[str], bool]
    most_calls: int

    async def play(self, goals: Mapping[str, str]) -> tuple[dict[str, End], int]:
        """Plays runs side by side in one process until each has ended.

        Args:
            goals: the goal of each run, by its name.

        Returns:
            How each run ended, and how often the process was killed. What it had not finished was started again, from
            the goal: a loop has nothing else to start from.
        """
        file = self.books.path.with_name(f"{next(iter(goals))}.jsonl")
        crashes, ends = 0, dict[str, End]()
        while len(ends) < len(goals):
            left = {run: goal for run, goal in goals.items() if run not in ends}
            code = await self._process_of(
                {"goals": left, "model": self.model, "books": str(self.books.path), "ends": str(file)}
            )
            ends = self._ends(file, goals)
            if code != 0 and (crashes := crashes + 1) > _MOST_CRASHES:
                raise ConfigurationError(f"the process of the loop ended with {code}")
        return {run: ends[run] for run in goals}, crashes

    async def _process_of(self, job: "Job") -> int:
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("the process of the loops has no pipes")
        self.process.stdin.write(json.dumps(job).encode() + b"\n")
        code = await self.process.stdout.readline()
        if not code:
            raise ConfigurationError("the process of the loops has ended")
        return int(code)

    def _ends(self, file: Path, goals: Mapping[str, str]) -> dict[str, End]:
        lines = file.read_text().splitlines() if file.exists() else []
        ends: dict[str, End] = {}
        for said in map(json.loads, lines):
            if self.cut_off(goals[said["run"]]):
                ends[said["run"]] = End(CUT_OFF, f"after {self.most_calls} model calls")
            elif "error" in said:
                ends[said["run"]] = End("crashed", said["error"], known=False)
            else:
                ends[said["run"]] = end_of(said["answer"])
        return ends


def end_of(answer: str | None) -> End:
    """Returns what a loop's answer comes to: a loop takes anything without a tool call for the final answer."""
    text = (answer or "").strip()
    if not text:
        return End("said nothing", known=False)
    with contextlib.suppress(ValueError):
        if isinstance(json.loads(text), dict | list):
            return End("answered in raw JSON", known=False)
    return End(ANSWERED)


@contextlib.asynccontextmanager
async def loop_process(environment: Mapping[str, str]) -> AsyncGenerator[Process]:
    """Runs the process from which loops are forked until the context ends."""
    command = (sys.executable, "-m", "backstay.compare.players")
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdin=PIPE, stdout=PIPE, start_new_session=True
    )
    try:
        yield process
    finally:
        # The process of a job outlives its parent, so both end by their group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
