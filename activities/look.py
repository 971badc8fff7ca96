"""Finds out for a ledger in which runs wait who has closed, who goes on, and what the limits are now."""

import asyncio

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.ledger import LookInput, LookResult
from backstay.errors import HistoryError
from backstay.kernel.ledger import Holder
from backstay.kernel.ledger_sums import Limit
from backstay.ports import LedgerRuns

from .at_once import AtOnce
from .heartbeat import beating

_AT_ONCE = 20


class Look:
    """The activity `look`."""

    def __init__(self, at_once: AtOnce, runs: LedgerRuns) -> None:
        self._at_once = at_once
        self._runs = runs

    @activity.defn(name=names.LOOK)
    async def look(self, given: LookInput) -> LookResult:
        """Returns who has closed, the open runs where they are wanted, and the limits as this worker knows them.

        Raises:
            ApplicationError: of type `HistoryError`: the engine could not be asked.
        """
        room = asyncio.Semaphore(_AT_ONCE)

        async def over(holder: Holder) -> bool:
            async with room:
                return await self._runs.over(holder)

        try:
            async with beating():
                closed = await asyncio.gather(*(over(holder) for holder in given.holders))
                at_work = await self._runs.at_work(given.ledger) if given.counts else None
        except HistoryError as error:
            raise ApplicationError(str(error), type=error.code) from error
        return LookResult(
            over=[holder.key for holder, gone in zip(given.holders, closed, strict=True) if gone],
            at_work=at_work,
            room={agent: limits for agent in given.agents if (limits := self._limits(given, agent)) is not None},
        )

    def _limits(self, given: LookInput, agent: str) -> list[Limit] | None:
        """Returns the ledger's limits for an agent; None where this worker does not know them now."""
        tenant = given.ledger.tenant or ""
        if self._at_once.unknown(tenant, agent):
            return None
        found = self._at_once.limits(tenant, agent)
        return [limit for ledger, limits in found if ledger == given.ledger for limit in limits]
