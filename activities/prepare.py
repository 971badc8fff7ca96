"""Prepares a call for the activities that execute it or ask after it: reviews it, and builds its `ToolCall`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity

from backstay.contracts.admission import Opening
from backstay.contracts.call import ActInput
from backstay.contracts.decision import ProposedCall
from backstay.contracts.history import RunRef
from backstay.contracts.policy import AuthorizeInput
from backstay.kernel.verdict import Code, Outcome, Verdict
from backstay.ports import Secrets, Tool
from backstay.tools import ToolCall

from .conversation import Conversations
from .review import Reviewer


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """A call that fits its tool, ready to be executed.

    Attributes:
        arguments: as the model wrote them, in JSON.
        values: the arguments in the tool's own types.
        costs: gains every cost that the tool reports, in micro-dollars.
    """

    tool: Tool
    arguments: Mapping[str, Any]
    values: Mapping[str, Any]
    call: ToolCall
    costs: list[int] = field(default_factory=list[int])


@dataclass(frozen=True, slots=True)
class Preparer:
    """Prepares the calls of runs."""

    conversations: Conversations
    reviewer: Reviewer
    secrets: Secrets

    async def opening(self, run: RunRef) -> Opening:
        """Reads who asked for what, and what was admitted."""
        return await self.conversations.opening(run)

    async def prepare(self, run: RunRef, given: ActInput) -> tuple[Verdict, PreparedCall | None]:
        """Reviews a call again; returns the verdict as of now, and the call where it fits its tool.

        Raises:
            HistoryError: the history does not hold the call.
        """
        opening = await self.opening(run)
        proposed = await self._proposed(run, given)
        reviewed = self.reviewer.review(_authorize_input(opening, given, proposed), proposed)
        verdict, fitting = reviewed.verdict, reviewed.fitting
        if verdict.allowed and verdict.digest != given.digest:
            message = "the call is not the one that was authorised"
            verdict = Verdict(Outcome.DENY, Code.POLICY_ERROR, verdict.digest, verdict.policy_version, message=message)
        if fitting is None:
            return verdict, None
        costs: list[int] = []
        call = ToolCall(
            run_id=opening.run_id,
            step=given.step,
            call_id=given.call_id,
            idempotency_key=given.key or given.own_key,
            agent=opening.agent,
            tenant=opening.tenant,
            metadata=opening.metadata,
            read_secret=self.secrets.reader(fitting.tool.spec.name, fitting.tool.secrets),
            take_cost=costs.append,
        )
        return verdict, PreparedCall(fitting.tool, fitting.arguments, fitting.values, call, costs)

    async def _proposed(self, run: RunRef, given: ActInput) -> ProposedCall:
        if given.arguments is not None:
            return ProposedCall(call_id=given.call_id, tool=given.tool, arguments=given.arguments)
        return await self.conversations.call(run, given)


def this_run() -> RunRef:
    """Returns the run that the current activity belongs to."""
    info = activity.info()
    return RunRef(info.workflow_id or "", info.workflow_run_id or "")


def _authorize_input(opening: Opening, given: ActInput, call: ProposedCall) -> AuthorizeInput:
    """Asks the question of `authorize` again, with the run's facts and the consent of now."""
    admitted = opening.admission.tool(given.tool)
    return AuthorizeInput(
        run_id=opening.run_id,
        run_key=given.run_key,
        agent=opening.agent,
        tenant=opening.tenant,
        requested_by=opening.requested_by,
        goal=opening.goal,
        facts=given.facts,
        now=given.now,
        calls=[call],
        consents={given.call_id: given.consent},
        tools={given.tool: admitted.digest} if admitted else {},
    )
