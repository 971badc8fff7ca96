"""Lets people, or a standing grant, release one call: a yes is judged and held again before it counts."""

from dataclasses import dataclass, field, replace
from typing import Literal

from backstay.contracts.carried_call import CarriedCall
from backstay.contracts.policy import Consent
from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind
from backstay.kernel.events import CallJudged
from backstay.kernel.ledger_sums import Counts
from backstay.kernel.verdict import Outcome

from .approve import Approvals
from .authorize import Judged, judge_released
from .hold import CallHold
from .live import LiveRun
from .parked import Stand
from .released import Refused, Released, denial

_INTERRUPTED = "not executed: the run was stopped while it waited for approval"


@dataclass(frozen=True, slots=True)
class Asking:
    """A call on its way to be released: as it was judged last, and what people have said to it so far.

    `opened` is the approval that it waits for; None while none is open.
    """

    judged: Judged
    consent: Consent = field(default_factory=Consent)
    edited: bool = False
    opened: str | None = None

    @classmethod
    def of(cls, released: Released) -> "Asking":
        """Returns a call that was released already."""
        judged = Judged(released.call, released.verdict, {}, released.identity)
        return cls(judged, released.consent, released.edited)

    def carried(self, run: LiveRun, hold: CallHold, stage: Literal["room", "asked", "released"]) -> CarriedCall:
        """Returns the call for the next link, as it stands at a stage."""
        judged = self.judged
        told, metered = run.told.get(judged.call.call_id), hold.metered
        return CarriedCall(
            call=run.parked.proposed[judged.call.call_id],
            verdict=judged.verdict,
            changed=judged.call if self.edited else None,
            stage=stage,
            members={group: list(people) for group, people in judged.members.items()},
            identity=judged.identity,
            metered=metered,
            revision=hold.revision,
            hold=hold.carried(),
            approval_id=self.opened,
            consent=self.consent,
            edited=self.edited,
            grant=told.grant if told else None,
        )


async def released(run: LiveRun, approvals: Approvals, judged: Judged, hold: CallHold) -> Released | Refused:
    """Waits until people release a call, or refuse it; asks nobody where rules and limits allow it."""
    if problem := await _room(run, approvals, hold, Asking(judged)):
        return Refused(problem)
    # While people were asked for more, the run and its rules may have changed: the boundary judges the call again.
    if judged.verdict.grantable and not hold.asks:
        found = await _let_through(run, approvals, judged, hold)
        if not isinstance(found, Judged):
            return found
        judged = found
    return await goes_on(run, approvals, hold, Asking(judged))


async def goes_on(run: LiveRun, approvals: Approvals, hold: CallHold, asking: Asking) -> Released | Refused:
    """Waits for people from where a call stands: for room in the budget, or for the answer to an open approval."""
    while True:
        if problem := await _room(run, approvals, hold, asking):
            return Refused(problem)
        verdict = asking.judged.verdict
        if verdict.outcome is Outcome.DENY:
            return Refused(denial(verdict))
        if asking.opened is None and verdict.allowed and not hold.asks:
            return Released(asking.judged.call, verdict, asking.consent, asking.edited, asking.judged.identity)
        opened = asking.opened or approvals.ask(asking.judged, hold, tuple(asking.consent.editors))
        found = await _answered(run, approvals, hold, replace(asking, opened=opened))
        if isinstance(found, Refused):
            return found
        asking = found


async def _room(run: LiveRun, approvals: Approvals, hold: CallHold, asking: Asking) -> str | None:
    """Waits for room in the budget, where it has none for the call; returns why it cannot be made."""
    stand = Stand(lambda: approvals.asks_about(hold.call_id), lambda: asking.carried(run, hold, "room"))
    with run.parked.at(hold.call_id, stand):
        return await hold.room()


async def _answered(run: LiveRun, approvals: Approvals, hold: CallHold, asking: Asking) -> Asking | Refused:
    """Waits for the end of the open approval, and returns how the call goes on; it may wait for room before that."""
    opened = asking.opened or ""
    stand = Stand(lambda: approvals.is_open(opened), lambda: asking.carried(run, hold, "asked"))
    with run.parked.at(hold.call_id, stand):
        # Rules, the budget and the run itself may have changed when a person has answered.
        end = await approvals.ended(opened)
    approval = run.state.approvals[opened]
    if end is ApprovalEnd.EDITED:
        after = approvals.edit_of(approval.approval_id)
        found = Asking(after.judged, Consent(editors=list(after.editors)), True)
        return Refused(after.problem) if after.problem else found
    if end is not ApprovalEnd.APPROVED:
        return Refused(_refusal(approval, end))
    people = dict.fromkeys([*asking.consent.approved_by, *approval.answered_by])
    consent = asking.consent.model_copy(update={"approved_by": list(people)})
    agrees: Counts = approval.agreed if approval.kind is ApprovalKind.EXPOSURE else {}
    if not await hold.counted_again(asking.judged.call, agrees):
        return Refused(_refusal(approval, ApprovalEnd.INTERRUPTED))
    unjudged = Stand(lambda: True, lambda: asking.carried(run, hold, "asked"))
    judged = await judge_released(run, asking.judged, consent, hold.metered, unjudged)
    if judged.interrupted:
        return Refused(_refusal(approval, ApprovalEnd.INTERRUPTED))
    run.apply(CallJudged(judged.call.call_id, judged.call.tool, judged.verdict))
    if judged.verdict.outcome is Outcome.DENY:
        return Refused(denial(judged.verdict))
    # Its minute is the one in which it is executed, and its sums are those of now. A sum above the one that people saw
    # is put to them again.
    agreed = {name: one.after for name, one in approval.exposure.items()}
    if problem := hold.place(judged.verdict, agreed):
        return Refused(problem)
    return Asking(judged, consent, asking.edited)


async def _let_through(
    run: LiveRun, approvals: Approvals, judged: Judged, hold: CallHold
) -> Released | Refused | Judged:
    """Releases a call by a standing grant; returns the call as it is judged now, where people have to be asked."""
    call, use = judged.call, await approvals.standing.use(judged)
    if use is None:
        return judged
    # While a use was drawn rules may have changed: it stands for a yes, and a yes is no ticket.
    consent = Consent(use=use)
    now = await judge_released(run, judged, consent, hold.metered)
    if now.interrupted:
        approvals.standing.give_back(call.call_id)
        return Refused(_INTERRUPTED)
    problem = None if now.verdict.outcome is Outcome.DENY else hold.changed(now.verdict) or await hold.room()
    if now.verdict.allowed and not hold.asks and problem is None:
        approvals.standing.used(call.call_id)
    else:
        approvals.standing.give_back(call.call_id)
    run.apply(CallJudged(call.call_id, call.tool, now.verdict))
    if problem:
        return Refused(problem)
    if not now.verdict.allowed or hold.asks:
        return replace(now, metered=judged.metered)
    return Released(now.call, now.verdict, consent, False, now.identity)


def _refusal(approval: Approval, end: ApprovalEnd) -> str:
    match end:
        case ApprovalEnd.DENIED:
            return "denied by a person" + (f": {approval.comment}" if approval.comment else "")
        case ApprovalEnd.EXPIRED:
            return "not executed: nobody answered before the approval expired"
        case _:
            return _INTERRUPTED
