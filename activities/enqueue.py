"""Asks for a run whether it may be one of those at once."""

import asyncio

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from backstay.contracts import names
from backstay.contracts.ledger import EnqueueInput, EnqueueResult, LedgerRef, Reserved, TurnAsked
from backstay.errors import ForeignRunError, LedgerUnansweredError
from backstay.kernel.ledger import Hold, Holder, Waiter
from backstay.kernel.ledger_queue import Place
from backstay.kernel.ledger_sums import Limit
from backstay.ports import Ledgers

from .at_once import AtOnce
from .conversation import Conversations
from .heartbeat import beating
from .prepare import this_run

_COUNTED_WITHIN = 3.0
_AGAIN = 0.1


class Enqueue:
    """The activity `enqueue`."""

    def __init__(self, conversations: Conversations, at_once: AtOnce, ledgers: Ledgers) -> None:
        self._conversations = conversations
        self._at_once = at_once
        self._ledgers = ledgers

    @activity.defn(name=names.ENQUEUE)
    async def enqueue(self, given: EnqueueInput) -> EnqueueResult:
        """Makes the run one of those at once in every ledger that limits them, the tenant's first, or has it wait.

        Raises:
            ApplicationError: of type `LedgerUnanswered`: a ledger does not say whether there is room. Of type `Held`:
                nobody knows the limits now. Of type `ForeignRun`: the workflow that asks is no run of this task
                queue, or asks in the name of another.
        """
        run = this_run()
        opening = await self._conversations.opening(run)
        if (given.holder, given.tenant, given.agent) != (opening.run_key, opening.tenant, opening.agent):
            raise ApplicationError("a run asks for itself alone", type=ForeignRunError.code, non_retryable=True)
        if held := self._at_once.unknown(given.tenant, given.agent, run.workflow_id):
            benign = ApplicationErrorCategory.BENIGN
            raise ApplicationError(held.why, type=names.HELD, non_retryable=True, category=benign)
        holder = Holder(given.holder, run.workflow_id, run.run_id, given.agent)
        waiter = Waiter(holder, activity.info().task_queue, given.started_us)
        try:
            async with beating():
                return await self._asked(waiter, given)
        except LedgerUnansweredError as error:
            raise ApplicationError(str(error), type=error.code, non_retryable=True) from None

    async def _asked(self, waiter: Waiter, given: EnqueueInput) -> EnqueueResult:
        limits = list(self._at_once.limits(given.tenant, given.agent))
        if given.waits_in is not None and given.waits_in not in [ledger for ledger, _ in limits]:
            limits.append((given.waits_in, ()))
        held: list[Reserved] = []
        for ledger, of_ledger in limits:
            answer = await self._counted(ledger, waiter, of_ledger)
            if isinstance(answer, Place):
                return EnqueueResult(held=held, place=answer, waits_in=ledger)
            held.append(Reserved(ledger=ledger, hold=answer))
        return EnqueueResult(held=held)

    async def _counted(self, ledger: LedgerRef, waiter: Waiter, limits: tuple[Limit, ...]) -> Hold | Place:
        """Asks a ledger; one that finds out which runs are going on is asked again for a moment."""
        asked = TurnAsked(waiter=waiter, limits=limits)
        until = asyncio.get_running_loop().time() + _COUNTED_WITHIN
        while True:
            answer = await self._ledgers.enqueue(ledger, asked)
            counting = isinstance(answer, Place) and not answer.limit
            if not counting or asyncio.get_running_loop().time() > until:
                return answer
            await asyncio.sleep(_AGAIN)
