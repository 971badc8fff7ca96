"""The standing grants of a run: what people give with a yes, and the uses that let calls through without asking.

A run in which no rule allows standing grants does nothing of this: no activity, no event.
"""

import asyncio
import contextlib
from dataclasses import dataclass, replace

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError
from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.decision import ProposedCall
from backstay.contracts.messages import Approve
from backstay.contracts.problems import Contract
from backstay.contracts.run import plain
from backstay.contracts.standing import GiveInput, GiveResult, GrantView, Returning, Revoking, UseInput, UseResult
from backstay.kernel.approval import Approval, Refusal
from backstay.kernel.audit import canonical
from backstay.kernel.grant_events import GrantReturned, GrantUsed, StandingGranted
from backstay.kernel.keys import giving_id, grant_id, grants_id, hold_id, short_digest, use_id, using_id
from backstay.kernel.markdown import inert
from backstay.kernel.standing import StandingGrant, Use
from backstay.kernel.terms import Agreed, agreed

from .. import options
from .authorize import Judged
from .live import LiveRun
from .words import grant_words, names_words, summary

NOT_COUNTED = "the yes that it came with did not count"
_PROVEN_ONLY = Refusal("NotGrantable", "this run demands a proof of each yes: leave `grant` out, and answer each call")
_UNANSWERED = Refusal("GrantsUnanswered", "no worker could give the grant now: try again, or answer without `grant`")


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A use that a call was let through by, and its name."""

    call: ProposedCall
    name: str
    use: Use


class StandingGrants:
    """The grants that people give in an admitted run, and the uses that it draws."""

    def __init__(self, run: LiveRun) -> None:
        self._run = run
        self._drawn: dict[str, _Drawn] = {}
        self._given = 0
        self.giving = asyncio.Lock()
        """Held while a grant is given, so that of several answers to one approval one counts."""
        self._freed: list[str] = []
        self._telling: asyncio.Task[None] | None = None

    async def use(self, judged: Judged) -> Use | None:
        """Draws a use for a call that people would be asked about; None where they have to be.

        Rules, the budget and the run itself may have changed when this returns.
        """
        call, offered = judged.call, judged.verdict.grantable
        if offered is None or self._proven_only or self._run.record.over:
            return None
        name = use_id(call.call_id, short_digest(call.content))
        given = UseInput(name=name, tool=call.tool, rules=list(offered.rules), exposure=dict(judged.verdict.exposure))
        how: ActivityConfig = {
            **options.GRANT,
            "activity_id": using_id(call.call_id),
            "summary": summary(f"step {self._run.state.step}", f"a standing grant for {names_words([call.tool])}?"),
        }
        try:
            result = await self._run.running.execute(names.USE_GRANT, given, UseResult, how)
        except ActivityError:
            self._free(name)  # it may have been drawn all the same
            return None
        if result.use is not None:
            self._drawn[call.call_id] = _Drawn(call, name, result.use)
        return result.use

    def goes_on(self, call: ProposedCall, use: Use) -> None:
        """Takes over a use that the link before has drawn for a call."""
        self._drawn[call.call_id] = _Drawn(call, use_id(call.call_id, short_digest(call.content)), use)

    def used(self, call_id: str) -> None:
        """Takes down that a call goes ahead by the use that it drew."""
        drawn = self._drawn[call_id]
        use, told = drawn.use, self._run.told.get(call_id)
        self._run.apply(GrantUsed(call_id, drawn.call.tool, use.grant_id, use.by, use.number, use.uses))
        if told is not None:
            words = grant_words(use)
            self._run.told[call_id] = replace(told, verdict=inert(words), grant=words)

    def give_back(self, call_id: str) -> None:
        """Gives the use of a call back, if it drew one: the call does not happen."""
        drawn = self._drawn.pop(call_id, None)
        if drawn is not None:
            self._run.apply(GrantReturned(call_id, drawn.call.tool, drawn.use.grant_id))
            self._free(drawn.name)

    def agreed(self, approve: Approve, approval: Approval) -> Agreed | Refusal | None:
        """Returns what a yes grants beyond its approval, or why it may not; None where it wants to grant nothing."""
        now_ms = self._now_ms()
        if approve.grant is None:
            return None
        return _PROVEN_ONLY if self._proven_only else agreed(approve.grant.terms(now_ms), approval, now_ms)

    async def give(self, approve: Approve, approval: Approval, terms: Agreed) -> StandingGrant | Refusal:
        """Gives a grant, before the yes is counted; the approval may have ended when this returns."""
        exact = canonical({"uses": terms.uses, "until": terms.until_ms, "exposure": dict(terms.exposure)})
        grant = StandingGrant(
            id=grant_id(approval.approval_id, approve.by, exact),
            tool=approval.tool,
            agent=self._run.request.agent,
            rules=approval.grantable.rules if approval.grantable else (),
            by=approve.by,
            run_id=workflow.info().workflow_id,
            approval_id=approval.approval_id,
            given_ms=self._now_ms(),
            until_ms=terms.until_ms,
            uses=terms.uses,
            exposure=terms.exposure,
            queue=workflow.info().task_queue,
        )
        self._given += 1
        how: ActivityConfig = {
            **options.GRANT,
            "activity_id": giving_id(self._given),
            "summary": f"a standing grant of {inert(approve.by)} for {inert(approval.tool)}",
        }
        try:
            result = await self._run.running.execute(names.GIVE_GRANT, GiveInput(grant=grant), GiveResult, how)
        except ActivityError:
            await self.revoke(grant)  # it may have been given all the same
            return _UNANSWERED
        return result.refusal or grant

    def granted(self, grant: StandingGrant) -> GrantView:
        """Takes down that a grant stands, and returns it as people read it."""
        self._run.apply(
            StandingGranted(
                grant.approval_id,
                grant.by,
                grant.id,
                grant.tool,
                grant.rules,
                grant.uses,
                grant.until_ms,
                grant.exposure,
            )
        )
        return GrantView.of(grant, self._run.request.tenant, self._now_ms())

    async def revoke(self, grant: StandingGrant) -> None:
        """Takes a grant back whose yes did not count."""
        await self._signal(names.REVOKED, Revoking(grant_id=grant.id, by=grant.by, reason=NOT_COUNTED))

    async def told(self) -> None:
        """Waits until the tenant's grants know what was given back."""
        if self._telling is not None:
            await self._telling

    @property
    def _proven_only(self) -> bool:
        # The tenant's grants believe who writes to the namespace; a run that demands proofs believes nobody else.
        return self._run.admission.proofs == "required"

    def _free(self, name: str) -> None:
        self._freed.append(hold_id(self._run.key, name))
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        while self._freed:
            freed, self._freed = self._freed, []
            await self._signal(names.RETURNED, Returning(uses=freed))

    async def _signal(self, name: str, told: Contract) -> None:
        """Tells the tenant's grants something; where there are none any more, there is nothing to tell."""
        handle = workflow.get_external_workflow_handle(grants_id(self._run.request.tenant))
        with contextlib.suppress(FailureError):
            await handle.signal(name, plain(told))

    def _now_ms(self) -> int:
        return self._run.clock.now_ms()
