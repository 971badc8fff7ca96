"""Draws on the ledgers for a run."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.ledger import ReserveInput, ReserveResult
from backstay.errors import ForeignRunError, LedgerUnansweredError
from backstay.kernel.keys import hold_id
from backstay.kernel.ledger import Asked, Holder
from backstay.ports import Allowances

from .conversation import Conversations
from .heartbeat import beating
from .hold import Holds
from .prepare import this_run


class Reserve:
    """The activity `reserve`."""

    def __init__(self, conversations: Conversations, allowances: Allowances, holds: Holds) -> None:
        self._conversations = conversations
        self._allowances = allowances
        self._holds = holds

    @activity.defn(name=names.RESERVE)
    async def reserve(self, given: ReserveInput) -> ReserveResult:
        """Holds amounts in every ledger that limits the run, the tenant's first; in all of them, or in none.

        Raises:
            ApplicationError: of type `LedgerUnanswered`: a ledger does not say whether there is room. Of type
                `ForeignRun`: the workflow that asks is no run of this task queue, or asks in the name of another.
        """
        run = this_run()
        opening = await self._conversations.opening(run)
        if (given.holder, given.tenant, given.agent) != (opening.run_key, opening.tenant, opening.agent):
            raise ApplicationError("a run draws for itself alone", type=ForeignRunError.code, non_retryable=True)
        alone = opening.admission.draws is not None and opening.admission.draws.agent_only
        holder = Holder(given.holder, run.workflow_id, run.run_id, given.agent, alone)
        limits = self._allowances.limits(given.tenant, given.agent, agent_only=alone)
        asked = Asked(hold_id(given.holder, given.name), holder, given.amounts, ())
        try:
            async with beating():
                return await self._holds.hold(limits, asked)
        except LedgerUnansweredError as error:
            raise ApplicationError(str(error), type=error.code, non_retryable=True) from None
