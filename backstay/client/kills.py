"""Kills many runs side by side, and accounts for each."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from temporalio.service import RPCError

from backstay.adapters.engine.errors import in_our_words
from backstay.adapters.engine.executions import Execution, described
from backstay.errors import BackstayError, CodecError, RefusedError, RunClosedError, RunNotFoundError
from backstay.kernel.stop import StopReason

from .client import BackstayClient
from .ending import Ending, ending_of
from .fleet import STOP_REASON

_AT_ONCE = 20
_LOOK_SECONDS = 0.2
_PATIENCE_SECONDS = 10.0
_RPC = timedelta(seconds=5)


class Outcome(StrEnum):
    """Tells what became of a run that was to be killed."""

    KILLED = "killed"
    ALREADY_CLOSED = "already_closed"
    COULD_NOT = "could_not"


@dataclass(frozen=True, slots=True)
class Account:
    """Accounts for one run; `detail` says what was in flight, how the run had closed before, or why it is open."""

    run_id: str
    outcome: Outcome
    detail: str | None = None


@dataclass(slots=True)
class Kills:
    """Kills runs by their ids, so that a run which goes on in a new execution is killed there.

    Attributes:
        client: reaches the runs.
        by: who kills; a claim, as in every kill.
        reason: why.
        progress: is told how many runs are accounted for, and how many there are.
        accounts: the runs so far, by their ids.
    """

    client: BackstayClient
    by: str
    reason: str
    progress: Callable[[int, int], None] = lambda done, total: None
    accounts: dict[str, Account] = field(default_factory=dict[str, Account])
    _ordered: set[str] = field(default_factory=set[str])
    _total: int = 0

    async def kill(self, run_ids: Sequence[str]) -> None:
        """Orders all to end, then waits until they have closed, or until none has closed for ten seconds."""
        self._total += len(run_ids)
        await _side_by_side(self._order, run_ids)
        # Without a worker to obey the order there is nothing to wait for.
        patience = _PATIENCE_SECONDS if await self._served() else 0.0
        last = time.monotonic()
        while left := [one for one in run_ids if one not in self.accounts]:
            await _side_by_side(self._look, left)
            if any(one in self.accounts for one in left):
                last = time.monotonic()
            elif time.monotonic() - last >= patience:
                await _side_by_side(self._give_up, left)
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _order(self, run_id: str) -> None:
        try:
            await self._send(run_id)
            self._ordered.add(run_id)
        except RunClosedError:
            return  # a look tells how
        except (BackstayError, RPCError) as error:
            self._account(run_id, Outcome.COULD_NOT, str(error))

    async def _send(self, run_id: str) -> None:
        try:
            await self.client.post_kill(run_id, self.by, self.reason)
        except RefusedError:  # the engine takes no more signals for the run
            await self.client.kill(run_id, self.by, self.reason)

    async def _look(self, run_id: str) -> None:
        """Accounts for a run where it has closed; a look that fails is repeated."""
        try:
            execution = await self._described(run_id)
            if execution.open:
                return
            ending = await self._ending(execution)
        except RunNotFoundError as error:
            self._account(run_id, Outcome.COULD_NOT, str(error))
        except (BackstayError, RPCError):
            return
        else:
            killed = run_id in self._ordered and ending.reason == StopReason.KILLED
            outcome = Outcome.KILLED if killed else Outcome.ALREADY_CLOSED
            self._account(run_id, outcome, _in_flight(ending) if killed else ending.words)

    async def _ending(self, execution: Execution) -> Ending:
        try:
            return await ending_of(self.client.temporal, execution)
        except CodecError:  # without the key, what the run itself wrote into the index is known
            reason = execution.attributes.get(STOP_REASON)
            return Ending(execution.state, reason or execution.state, None)

    async def _give_up(self, run_id: str) -> None:
        try:
            execution = await self._described(run_id)
        except (BackstayError, RPCError) as error:
            return self._account(run_id, Outcome.COULD_NOT, f"the order is given; {error}")
        return self._account(run_id, Outcome.COULD_NOT, f"the order is given; {await self._why_open(execution)}")

    async def _why_open(self, execution: Execution) -> str:
        if execution.held_back:
            return "the engine has paused the run, and keeps the order for it"
        if not await self._served():
            return "no worker answers, and the next one that serves the run obeys it"
        names = ", ".join(f"{one.activity_id} (attempt {one.attempt})" for one in execution.pending)
        return f"in flight: {names}" if names else "not closed yet"

    async def _served(self) -> bool:
        try:
            return await self.client.workers() > 0
        except (BackstayError, RPCError):
            return True  # nobody knows: it is waited for them

    async def _described(self, run_id: str) -> Execution:
        with in_our_words(self.client.temporal, run_id):
            return await described(self.client.temporal, run_id, timeout=_RPC)

    def _account(self, run_id: str, outcome: Outcome, detail: str | None) -> None:
        self.accounts[run_id] = Account(run_id, outcome, detail)
        self.progress(len(self.accounts), self._total)


def _in_flight(ending: Ending) -> str | None:
    calls = ending.result.in_flight if ending.result else []
    return f"in flight: {', '.join(f'{one.tool} ({one.call_id}): {one.outcome}' for one in calls)}" if calls else None


async def _side_by_side(act: Callable[[str], Awaitable[None]], run_ids: Sequence[str]) -> None:
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(run_id: str) -> None:
        async with room:
            await act(run_id)

    await asyncio.gather(*(one(run_id) for run_id in run_ids))
