"""Gives and uses standing grants for a run."""

from dataclasses import replace

from temporalio import activity

from backstay.contracts import names
from backstay.contracts.standing import GiveInput, GiveResult, UseInput, UseResult
from backstay.kernel.keys import hold_id
from backstay.kernel.standing import Wanted
from backstay.ports import Grants as Port

from .conversation import Conversations
from .heartbeat import beating
from .prepare import this_run


class Grants:
    """The activities `give_grant` and `use_grant`: tenant, agent and requester are those of the run that asks."""

    def __init__(self, conversations: Conversations, grants: Port) -> None:
        self._conversations = conversations
        self._grants = grants

    @activity.defn(name=names.GIVE_GRANT)
    async def give(self, given: GiveInput) -> GiveResult:
        """Adds a grant to those of the run's tenant; says why, where it does not stand.

        Raises:
            ApplicationError: of type `ForeignRun`: the workflow that asks is no run of this task queue.
        """
        run = this_run()
        opening = await self._conversations.opening(run)
        grant = replace(given.grant, agent=opening.agent, run_id=run.workflow_id, queue=activity.info().task_queue)
        async with beating():
            return GiveResult(refusal=await self._grants.give(opening.tenant, grant))

    @activity.defn(name=names.USE_GRANT)
    async def use(self, given: UseInput) -> UseResult:
        """Draws a use for a call, where a grant of the run's tenant fits; where none does, people are asked.

        Raises:
            ApplicationError: of type `ForeignRun`: the workflow that asks is no run of this task queue.
        """
        opening = await self._conversations.opening(this_run())
        wanted = Wanted(
            hold_id(opening.run_key, given.name),
            given.tool,
            opening.agent,
            tuple(given.rules),
            opening.requested_by,
            given.exposure,
            activity.info().task_queue,
        )
        async with beating():
            result = await self._grants.use(opening.tenant, wanted)
        if result.trouble:
            activity.logger.warning("people are asked: %s", result.trouble)
        return result
