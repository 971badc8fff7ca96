"""Holds amounts for a run in every ledger that counts them, and warns where a limit is near."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from temporalio import activity

from backstay.contracts.ledger import LedgerRef, LimitNotice, Reserved, ReserveResult
from backstay.errors import NoticeError
from backstay.kernel.ledger import Asked
from backstay.kernel.ledger_period import milliseconds
from backstay.kernel.ledger_sums import Crossing, Excess, Limit
from backstay.ports import Ledgers, Notifier


@dataclass(frozen=True, slots=True)
class Holds:
    """Makes holds in ledgers, and tells people of limits that they reach most of."""

    ledgers: Ledgers
    notifier: Notifier

    async def hold(self, where: Sequence[tuple[LedgerRef, tuple[Limit, ...]]], asked: Asked) -> ReserveResult:
        """Holds amounts in all of some ledgers, in their order, or in none; a refusal has the sums of the first.

        Args:
            where: the ledgers, each with its limits.
            asked: the hold, with limits that are put in the place of its own.

        Raises:
            LedgerUnansweredError: a ledger does not say whether there is room; others may hold the amounts.
        """
        held: list[Reserved] = []
        # A worker that stood still may go on after another one has made the hold: it takes nothing away from that one.
        asked = replace(asked, attempt=milliseconds(activity.info().started_time))
        for ledger, limits in where:
            answer = await self.ledgers.hold(ledger, replace(asked, limits=limits))
            if isinstance(answer, Excess):
                for one in held:
                    await self.ledgers.release(one.ledger, one.hold.id, asked.attempt)
                return ReserveResult(excess=replace(answer, sums=held[0].hold.sums) if held else answer)
            held.append(Reserved(ledger=ledger, hold=answer))
        warnings = [await self._warned(one, crossing) for one in held for crossing in one.hold.crossed]
        return ReserveResult(held=held, warnings=warnings)

    async def _warned(self, reserved: Reserved, crossing: Crossing) -> Crossing:
        """Warns people in the log and at the agent's webhook, and returns the warning for the run's audit."""
        ledger, holder = reserved.ledger, reserved.hold.holder
        words = "%s: %s of %s has reached %d %% of its limit"
        activity.logger.warning(words, ledger.words, crossing.name, crossing.key, crossing.percent)
        notice = LimitNotice(run_id=holder.workflow_id, agent=holder.agent, tenant=ledger.tenant, crossing=crossing)
        try:
            await self.notifier.send(holder.agent, notice.model_dump(mode="json"))
        except NoticeError as error:
            activity.logger.warning("nobody was told that a limit is near: %s", error)
        return crossing
