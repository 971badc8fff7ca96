"""Waits for people: an approval opens for one exact call, and ends with an answer, its expiry, or the run."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from backstay.contracts.approval import EditResult, VoteResult
from backstay.contracts.call import RESULT_BYTES, Reconciled, shortened
from backstay.contracts.carry import CarriedApprovals
from backstay.contracts.decision import ProposedCall
from backstay.contracts.messages import Answer, Approve, Edit, Vote
from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind, Refusal
from backstay.kernel.arguments import Unreadable
from backstay.kernel.audit import canonical
from backstay.kernel.counted import counted_by
from backstay.kernel.events import ApprovalEnded, ApprovalOpened, ApprovalVoted, CallJudged, Granted
from backstay.kernel.form import Form
from backstay.kernel.grant import amounts_of, setting_of, words_of
from backstay.kernel.keys import approval_id, fingerprint
from backstay.kernel.ledger_period import Period
from backstay.kernel.markdown import inert
from backstay.kernel.meter import Exposed
from backstay.kernel.plan import exposed_by
from backstay.kernel.question import OUTCOMES, choices_of, unfit
from backstay.kernel.shortage import BudgetCard
from backstay.kernel.standing import StandingGrant
from backstay.kernel.terms import Agreed
from backstay.kernel.verdict import Code, Outcome, Verdict

from .authorize import Judged, judge_now
from .hold import CallHold, reason_of
from .live import LiveRun
from .notify import Notices
from .standing import StandingGrants

WAITING_BYTES = 1_000_000
_BUDGET = "budget-"
_PUT = (ApprovalKind.BUDGET, ApprovalKind.OUTCOME_UNKNOWN, ApprovalKind.QUESTION)
UNKNOWN = "the call may have happened: its end was not seen"


@dataclass(frozen=True, slots=True)
class Edited:
    """A call that a person changed, and why it cannot be made, where it no longer fits."""

    judged: Judged
    editors: tuple[str, ...]
    problem: str | None


@dataclass(frozen=True, slots=True)
class _Shown:
    """The meters of a call as people are shown them, within the run and over many runs."""

    exposure: Mapping[str, Exposed]
    counted: Mapping[str, Mapping[Period, Exposed]]


class Approvals:
    """The approvals of an admitted run."""

    def __init__(self, run: LiveRun) -> None:
        self._run = run
        self._calls: dict[str, ProposedCall] = {}
        self._opened = Counter(approval.call_id for approval in run.state.approvals.values())
        """The number of times that each call was put to people, by its id."""
        self._edits: dict[str, Edited] = {}
        self._holds: dict[str, CallHold] = {}
        self._answers: dict[str, Answer] = {}
        self._forms: dict[str, Form] = {}
        self._reminded: set[str] = set()
        """The approvals that expire soon, of which people were told that."""
        self._left: dict[str, str] = {}
        """The approvals that the link before has left open, by what they ask about, until somebody waits for them."""
        self._notices = Notices(run)
        self.standing = StandingGrants(run)

    def carried(self, kept: Collection[str]) -> dict[str, Any]:
        """Returns what the next link knows of the approvals that are kept."""
        going_on = self._run.parked.proposed
        opened = {one: asked for one, asked in self._opened.items() if one.startswith(_BUDGET) or one in going_on}
        calls = {one: call for one, call in self._calls.items() if one in kept}
        return {"calls": calls, "opened": opened, "reminded": sorted(self._reminded)}

    def carry_on(self, carried: CarriedApprovals) -> None:
        """Goes on where the link before has left off."""
        self._calls, self._answers = dict(carried.calls), dict(carried.answers)
        self._opened = Counter({**self._opened, **carried.opened})
        self._reminded = set(carried.reminded)
        self._left = {one.call_id: one.approval_id for one in self._run.record.waiting if one.kind in _PUT}

    def takes_over(self, approval_id: str, hold: CallHold) -> None:
        """Takes over the hold of a call that the link before has put to people."""
        self._holds[approval_id] = hold

    def left_open(self, dimension: str) -> bool:
        """Tells whether the link before has asked for more of a budget, and nobody has waited for the answer since."""
        return self.asked_before(f"{_BUDGET}{setting_of(dimension)}")

    def asked_before(self, call_id: str) -> bool:
        """Tells whether the link before has asked people about a call, and nobody has waited for the answer since."""
        return call_id in self._left

    def leave_none(self) -> None:
        """Closes what the link before has asked and nobody waits for any more, because the run ends."""
        for opened in self._left.values():
            if self.is_open(opened):
                self._run.apply(ApprovalEnded(opened, ApprovalEnd.INTERRUPTED))
                self._notices.tell(opened, "closed")
        self._left.clear()

    @property
    def quiet(self) -> bool:
        """True where no notice is under way."""
        return self._notices.quiet

    async def outcome(self, call: ProposedCall, digest: str) -> Reconciled:
        """Asks people what became of a call; returns `unknown` where nobody can be asked or answers."""
        approval = self._run.admission.approval
        group = approval.unknown
        if group is None or self._run.record.over:
            return Reconciled(answer="unknown")
        verdict = Verdict(
            Outcome.REQUIRE_APPROVAL, Code.OUTCOME_UNKNOWN, digest, "", groups=(group,), reasons=(UNKNOWN,)
        )
        asked = Judged(call, verdict, {group: approval.unknown_members})
        _, answer = await self.put(asked, ApprovalKind.OUTCOME_UNKNOWN)
        if answer is None or answer.answer == "stop":
            return Reconciled(answer="unknown")
        text = answer.result if isinstance(answer.result, str) else json.dumps(answer.result, ensure_ascii=False)
        return Reconciled.model_validate({"answer": answer.answer, "text": shortened(text, RESULT_BYTES)[0]})

    def unfit(self, answer: Answer) -> str | None:
        """Returns why an answer to an open approval says nothing that can be taken down; None where it does."""
        if self._run.state.approvals[answer.approval_id].kind is ApprovalKind.QUESTION:
            form = self._forms.get(answer.approval_id)
            choices = choices_of(self._run.record.asked[answer.approval_id])
            return form.problem(answer.answer) if form else unfit(answer.answer, choices)
        return None if answer.answer in OUTCOMES else f"the answer is one of {', '.join(OUTCOMES)}"

    async def more(self, group: str, card: BudgetCard) -> Approval:
        """Asks people for more of an exhausted budget; returns the approval at its end."""
        digest = f"sha256:{fingerprint(f'{self._run.key} {canonical(card.args)}')}"
        verdict = Verdict(
            Outcome.REQUIRE_APPROVAL, Code.BUDGET_EXHAUSTED, digest, "", groups=(group,), reasons=(card.reason,)
        )
        call = ProposedCall(call_id=f"{_BUDGET}{card.args['dimension']}", tool="budget", arguments=canonical(card.args))
        members = {group: self._run.admission.approval.budget_members}
        # The run may have been stopped, and its limits raised, when this returns.
        closed, _ = await self.put(Judged(call, verdict, members), ApprovalKind.BUDGET)
        return closed

    async def put(self, asked: Judged, kind: ApprovalKind, form: Form | None = None) -> tuple[Approval, Answer | None]:
        """Puts to people what releases no call; returns the approval at its end, and the answer where there was one."""
        opened = self._left.pop(asked.call.call_id, None) or self._open(asked, (), kind)
        self._forms |= {opened: form} if form else {}
        await self.ended(opened)
        return self._run.state.approvals[opened], self._answers.get(opened)

    def raised(self, event: Granted) -> None:
        """Closes the questions for more that a grant has answered: whatever waits looks for room again."""
        raised = {setting_of(dimension) for dimension, _ in amounts_of(event.added)}
        for one in self._run.record.waiting:
            if one.kind is ApprovalKind.BUDGET and self._run.record.asked[one.approval_id]["dimension"] in raised:
                comment = f"{event.by} granted {words_of(event.added)}"
                self._run.apply(ApprovalEnded(one.approval_id, ApprovalEnd.ANSWERED, None, comment))

    async def announced(self) -> None:
        """Waits until the last notices are sent, for a little while."""
        if self._run.state.history_full:
            return  # whoever fills the history does not wait meanwhile
        await self._notices.sent()

    def agreed(self, approve: Approve) -> Agreed | Refusal | None:
        """Returns what a yes to an open approval grants beyond it, or why it may not; None where it grants nothing."""
        return self.standing.agreed(approve, self._run.state.approvals[approve.approval_id])

    async def grant(self, approve: Approve, terms: Agreed) -> StandingGrant | Refusal:
        """Gives a standing grant, before the yes is counted; the approval may have ended when this returns."""
        return await self.standing.give(approve, self._run.state.approvals[approve.approval_id], terms)

    def vote(self, vote: Vote) -> VoteResult:
        """Counts a yes; enough of them close the approval."""
        self._run.apply(ApprovalVoted(vote.approval_id, vote.by, vote.comment))
        if self._run.state.approvals[vote.approval_id].granted:
            self._run.apply(ApprovalEnded(vote.approval_id, ApprovalEnd.APPROVED, vote.by))
        return self._result(vote.approval_id)

    def deny(self, vote: Vote) -> VoteResult:
        """Closes the approval with a no: one is enough."""
        self._run.apply(ApprovalEnded(vote.approval_id, ApprovalEnd.DENIED, vote.by, vote.comment))
        return self._result(vote.approval_id)

    def answered(self, answer: Answer) -> VoteResult:
        """Takes a person's word for what became of a call, or as the answer to a question."""
        self._answers[answer.approval_id] = answer
        said = answer.answer + (f": {answer.comment}" if answer.comment else "")
        self._run.apply(ApprovalEnded(answer.approval_id, ApprovalEnd.ANSWERED, answer.by, said))
        return self._result(answer.approval_id)

    async def judge_edit(self, edit: Edit) -> Judged:
        """Returns what policy says of the call with other arguments; nothing changes yet.

        Raises:
            ActivityError: this worker cannot judge it.
        """
        metered = self._holds[edit.approval_id].metered
        return await judge_now(self._run, self._calls[edit.approval_id].edited(edit.args), metered)

    async def recounted(self, edit: Edit, judged: Judged, check: Callable[[], object]) -> Judged:
        """Has ledgers count a changed call in place of the one before, if it means something else; judges it again.

        Args:
            edit: the change.
            judged: the changed call, as it was judged with the sums of the one before.
            check: raises where the change does not count any more.

        Raises:
            ActivityError: this worker cannot judge it; nothing of the call is held in ledgers any more.
        """
        hold = self._holds[edit.approval_id]
        if judged.verdict.outcome is Outcome.DENY or not hold.recounts(judged.verdict):
            return judged
        async with hold.counting:
            # Somebody else may have changed the call, or answered, while this change waited.
            check()
            await hold.recount(judged.call)
            try:
                judged = await judge_now(self._run, judged.call, hold.metered)
                check()
            except (ActivityError, ApplicationError):
                hold.uncount()
                raise
        return judged

    def has_room(self, edit: Edit, call: ProposedCall) -> bool:
        """Tells whether the arguments of all waiting calls still fit into one message; shrinking always does."""
        waiting = {one.approval_id: _size(self._calls[one.approval_id]) for one in self._run.record.waiting}
        before = waiting.pop(edit.approval_id)
        return _size(call) <= max(before, WAITING_BYTES - sum(waiting.values()))

    def edited(self, edit: Edit, judged: Judged) -> EditResult:
        """Replaces the waiting call by the edited one, which goes on as a new action."""
        call, verdict = judged.call, judged.verdict
        before = self._run.state.approvals[edit.approval_id]
        self._run.apply(ApprovalEnded(edit.approval_id, ApprovalEnd.EDITED, edit.by, edit.comment))
        self._run.apply(CallJudged(call.call_id, call.tool, verdict))
        hold, outcome = self._holds[edit.approval_id], verdict.outcome
        hold.means(call)
        problem = None if outcome is Outcome.DENY else hold.changed(verdict)
        self._edits[edit.approval_id] = Edited(judged, (*before.editors, edit.by), problem)
        self._run.news.note(
            f"The runtime says: a person changed the arguments of call {call.call_id} to {call.arguments}."
        )
        if problem:
            outcome = Outcome.DENY
        elif hold.asks and outcome is Outcome.ALLOW:
            outcome = Outcome.REQUIRE_APPROVAL
        replaced_by = self._next_id(judged) if outcome is Outcome.REQUIRE_APPROVAL else None
        return EditResult.model_validate(
            {"approval_id": edit.approval_id, "outcome": outcome.value, "replaced_by": replaced_by}
        )

    def ask(self, judged: Judged, hold: CallHold, editors: tuple[str, ...]) -> str:
        """Puts a call to the people who may release it: those that rules name, and those of the limits it passes.

        Returns:
            The approval's id.
        """
        verdict, members, metered = judged.verdict, dict(judged.members), hold.metered
        shown = exposed_by(self._run.state, judged.call.call_id, verdict.exposure)
        counted = counted_by(self._run.state, metered.sums, verdict.exposure, metered.limits) if metered else {}
        if hold.asks:
            for name in {*hold.asks.meters, *(metered.exposure if metered and hold.asks.limit else ())}:
                members |= self._run.admission.exposure[name].members
            groups = tuple(dict.fromkeys([*verdict.groups, *hold.asks.groups]))
            verdict = replace(verdict, groups=groups, reasons=(*verdict.reasons, reason_of(hold.asks, shown)))
        kind = ApprovalKind.EXPOSURE if hold.asks else ApprovalKind.ACTION
        meters = _Shown(shown, counted)
        opened = self._open(replace(judged, verdict=verdict, members=members), editors, kind, meters)
        self._holds[opened] = hold
        return opened

    def _open(self, judged: Judged, editors: tuple[str, ...], kind: ApprovalKind, shown: _Shown | None = None) -> str:
        call, verdict, opened = judged.call, judged.verdict, self._next_id(judged)
        self._calls[opened] = call
        self._opened[call.call_id] += 1
        self._run.record.asked[opened] = {} if isinstance(call.parsed, Unreadable) else call.parsed
        now = self._run.clock.now_ms()
        approval = Approval(
            approval_id=opened,
            kind=kind,
            call_id=call.call_id,
            tool=call.tool,
            digest=verdict.digest,
            groups=verdict.groups,
            members={group: tuple(people) for group, people in judged.members.items()},
            requester=self._run.request.requested_by,
            editors=editors,
            rules=verdict.rules,
            reasons=verdict.reasons,
            requested_at_ms=now,
            expires_at_ms=self._run.clock.end_ms(timedelta(seconds=self._run.admission.approval.expires_after)),
            exposure=shown.exposure if shown else {},
            counted=shown.counted if shown else {},
            grantable=verdict.grantable if kind is ApprovalKind.ACTION and not editors else None,
            sources=verdict.origins.sources if verdict.origins else {},
            copied=verdict.origins.copied if verdict.origins else {},
            within=verdict.origins.within if verdict.origins else {},
        )
        self._run.apply(ApprovalOpened(approval))
        self._notices.tell(opened, "opened")
        return opened

    async def ended(self, opened: str) -> ApprovalEnd:
        """Waits for the approval's end: by people, by its expiry, or because the run is to stop anyway."""
        lifetime = self._run.state.approvals[opened].lifetime_ms
        reminded = opened in self._reminded
        if reminded or not await self._answered(opened, lifetime - lifetime * 9 // 10):
            if not reminded:
                self._reminded.add(opened)
                self._notices.tell(opened, "expiring")
            if not await self._answered(opened, 0):
                await self._expired(self._run.state.approvals[opened])
        if self._end(opened) is None:
            self._run.apply(ApprovalEnded(opened, ApprovalEnd.INTERRUPTED))
        self._reminded.discard(opened)
        self._notices.tell(opened, "closed")
        return self._end(opened) or ApprovalEnd.INTERRUPTED

    def is_open(self, approval_id: str) -> bool:
        """Tells whether an approval waits for people."""
        return self._end(approval_id) is None

    def asks_about(self, call_id: str) -> bool:
        """Tells whether a call, or its budget, waits for people."""
        return any(one.call_id == call_id or one.kind is ApprovalKind.BUDGET for one in self._run.record.waiting)

    def edit_of(self, approval_id: str) -> Edited:
        """Takes the change of the call that an approval was about."""
        return self._edits.pop(approval_id)

    async def _expired(self, approval: Approval) -> None:
        """Ends an approval that nobody answered; where the run ends at that moment, its own end is the reason."""
        if self._run.clock.ends_at(approval.expires_at_ms):
            await workflow.wait_condition(lambda: self._end(approval.approval_id) is not None or self._run.record.over)
        else:
            self._run.apply(ApprovalEnded(approval.approval_id, ApprovalEnd.EXPIRED))

    async def _answered(self, opened: str, before_ms: int) -> bool:
        """Waits for an answer, or for the run's own end, until a time before the expiry; returns False without either.

        While an incident holds the run the time stands still.
        """

        def over() -> bool:
            return self._end(opened) is not None or self._run.record.over

        while not over():
            approval = self._run.state.approvals[opened]
            left = timedelta(milliseconds=max(0, approval.expires_at_ms - before_ms - self._run.clock.now_ms()))
            try:
                await workflow.wait_condition(
                    lambda: over() or bool(self._run.state.frozen),
                    timeout=left,
                    timeout_summary=f"{inert(approval.tool)} waits for approval",
                )
            except TimeoutError:
                return False
            await workflow.wait_condition(lambda: over() or not self._run.state.frozen)
        return True

    def _end(self, opened: str) -> ApprovalEnd | None:
        return self._run.state.approvals[opened].end

    def _next_id(self, judged: Judged) -> str:
        return approval_id(judged.verdict.digest, self._opened[judged.call.call_id])

    def _result(self, opened: str) -> VoteResult:
        approval = self._run.state.approvals[opened]
        state = "open" if approval.end is None else "closed"
        return VoteResult(approval_id=opened, state=state, answered_by=list(approval.answered_by))


def _size(call: ProposedCall) -> int:
    return len(call.arguments.encode("utf-8", "replace"))
