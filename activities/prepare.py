"""Prepares a call for those who execute it or ask after it: whose it is, what it says, what policy says of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity

from backstay.contracts.admission import Opening
from backstay.contracts.call import ActInput
from backstay.contracts.decision import ProposedCall
from backstay.contracts.history import RunRef
from backstay.kernel.verdict import Code, Outcome, Verdict
from backstay.ports import Secrets, Tool
from backstay.tools import ToolCall

from .conversation import RunMemory
from .review import Asked, Reviewer


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call that fits its tool: its arguments as JSON and as the tool's own values; `costs` gains what it reports."""

    tool: Tool
    arguments: Mapping[str, Any]
    values: Mapping[str, Any]
    call: ToolCall
    costs: list[int] = field(default_factory=list[int])


@dataclass(frozen=True, slots=True)
class Desk:
    """Where the calls of runs are prepared."""

    memory: RunMemory
    reviewer: Reviewer
    secrets: Secrets

    async def opening(self, run: RunRef) -> Opening:
        """Who asked for what, and what was admitted."""
        return await self.memory.opening(run)

    async def prepared(self, run: RunRef, given: ActInput) -> tuple[Verdict, Prepared | None]:
        """The verdict over the call, now, and the call itself where it fits its tool.

        Raises:
            HistoryError: the history does not hold the call.
        """
        opening = await self.memory.opening(run)
        reviewed = self.reviewer.review(_asked(opening, given), await self._proposed(run, given))
        verdict = reviewed.verdict
        if verdict.allowed and verdict.digest != given.digest:
            message = "the call is not the one that was authorised"
            verdict = Verdict(Outcome.DENY, Code.POLICY_ERROR, verdict.digest, verdict.policy_version, (), message)
        if reviewed.tool is None or reviewed.arguments is None or reviewed.values is None:
            return verdict, None
        costs: list[int] = []
        call = ToolCall(
            run_id=opening.run_id,
            step=given.step,
            call_id=given.call_id,
            idempotency_key=given.key or own_key(given),
            agent=opening.agent,
            tenant=opening.tenant,
            metadata=opening.metadata,
            read_secret=self.secrets.reader(reviewed.tool.spec.name, reviewed.tool.secrets),
            take_cost=costs.append,
        )
        return verdict, Prepared(reviewed.tool, reviewed.arguments, reviewed.values, call, costs)

    async def _proposed(self, run: RunRef, given: ActInput) -> ProposedCall:
        if given.arguments is not None:
            return ProposedCall(call_id=given.call_id, tool=given.tool, arguments=given.arguments)
        return await self.memory.call(run, given)


def own_key(given: ActInput) -> str:
    """The idempotency key of a call, where it does not share another one's effect.

    What it asks for is in it, because after a reset of the run the model may ask for something else at the same place.
    """
    return f"{given.run_key}/{given.call_id}/{given.content}"


def this_run() -> RunRef:
    """The run that the current activity belongs to."""
    info = activity.info()
    return RunRef(info.workflow_id or "", info.workflow_run_id or "")


def _asked(opening: Opening, given: ActInput) -> Asked:
    admitted = opening.admission.tool(given.tool)
    return Asked(
        run_id=opening.run_id,
        run_key=given.run_key,
        agent=opening.agent,
        tenant=opening.tenant,
        step=given.step,
        schema=admitted.digest if admitted else None,
        goal=opening.goal,
        requested_by=opening.requested_by,
        facts=given.facts,
        now=given.now,
        consent=given.consent,
    )
