"""Waits for people: an approval opens for one exact call, and ends with an answer, its expiry, or the run."""

import json
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow

from backstay.contracts.approval import EditResult, VoteResult
from backstay.contracts.call import RESULT_BYTES, Reconciled, shortened
from backstay.contracts.decision import ProposedCall
from backstay.contracts.messages import Answer, Edit, Vote
from backstay.contracts.policy import Consent
from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind
from backstay.kernel.arguments import Unreadable
from backstay.kernel.events import ApprovalEnded, ApprovalOpened, ApprovalVoted, CallJudged
from backstay.kernel.keys import approval_id
from backstay.kernel.verdict import Code, Outcome, Verdict

from .authorize import Judged, judge, judge_released
from .live import LiveRun
from .notify import Notices

WAITING_BYTES = 1_000_000
UNKNOWN = "the call may have happened: its end was not seen"


@dataclass(frozen=True, slots=True)
class Released:
    """A call that may be executed now; `edited` says that its arguments are a person's."""

    call: ProposedCall
    verdict: Verdict
    consent: Consent
    edited: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A call that may not be executed, and what the model is told."""

    text: str


@dataclass(frozen=True, slots=True)
class _Edited:
    judged: Judged
    editors: tuple[str, ...]


class Approvals:
    """The approvals of an admitted run."""

    def __init__(self, run: LiveRun) -> None:
        self._run = run
        self._calls: dict[str, ProposedCall] = {}
        self._edits: dict[str, _Edited] = {}
        self._answers: dict[str, Answer] = {}
        self._notices = Notices(run)

    async def released(self, judged: Judged) -> Released | Refused:
        """Waits until people release the call or refuse it; a yes is judged again before it counts."""
        consent, edited = Consent(), False
        while judged.verdict.outcome is Outcome.REQUIRE_APPROVAL:
            opened = self._open(judged, tuple(consent.editors))
            # Rules, the budget and the run itself may have changed when a person has answered.
            end = await self._ended(opened)
            self._notices.tell(opened, "closed")
            if end is ApprovalEnd.APPROVED:
                people = self._run.state.approvals[opened].answered_by
                consent = consent.model_copy(update={"approved_by": list(people)})
                judged = await judge_released(self._run, judged.call, consent)
                self._run.apply(CallJudged(judged.call.call_id, judged.call.tool, judged.verdict))
            elif end is ApprovalEnd.EDITED:
                after = self._edits.pop(opened)
                judged, edited = after.judged, True
                consent = Consent(editors=list(after.editors))
            else:
                return Refused(self._refusal(opened, end))
        if not judged.verdict.allowed:
            return Refused(denial(judged.verdict))
        return Released(judged.call, judged.verdict, consent, edited)

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
        opened = self._open(asked, (), ApprovalKind.OUTCOME_UNKNOWN)
        end = await self._ended(opened)
        self._notices.tell(opened, "closed")
        answer = self._answers.get(opened)
        if end is not ApprovalEnd.ANSWERED or answer is None or answer.answer == "stop":
            return Reconciled(answer="unknown")
        text = answer.result if isinstance(answer.result, str) else json.dumps(answer.result, ensure_ascii=False)
        return Reconciled.model_validate({"answer": answer.answer, "text": shortened(text, RESULT_BYTES)[0]})

    async def announced(self) -> None:
        """Waits until the last notices are sent, for a little while."""
        await self._notices.sent()

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
        """Takes a person's word for what became of a call."""
        self._answers[answer.approval_id] = answer
        self._run.apply(ApprovalEnded(answer.approval_id, ApprovalEnd.ANSWERED, answer.by, answer.answer))
        return self._result(answer.approval_id)

    async def judge_edit(self, edit: Edit) -> Judged:
        """Returns what policy says of the call with other arguments; nothing changes yet."""
        return (await judge(self._run, [self._calls[edit.approval_id].edited(edit.args)]))[0]

    def has_room(self, edit: Edit, call: ProposedCall) -> bool:
        """Tells whether the arguments of all waiting calls still fit into one message; shrinking always does."""
        waiting = {one.approval_id: _size(self._calls[one.approval_id]) for one in self._run.state.open_approvals}
        before = waiting.pop(edit.approval_id)
        return _size(call) <= max(before, WAITING_BYTES - sum(waiting.values()))

    def edited(self, edit: Edit, judged: Judged) -> EditResult:
        """Replaces the waiting call by the edited one, which goes on as a new action."""
        call, verdict = judged.call, judged.verdict
        before = self._run.state.approvals[edit.approval_id]
        self._run.apply(ApprovalEnded(edit.approval_id, ApprovalEnd.EDITED, edit.by, edit.comment))
        self._run.apply(CallJudged(call.call_id, call.tool, verdict))
        self._edits[edit.approval_id] = _Edited(judged, (*before.editors, edit.by))
        self._run.news.note(
            f"The runtime says: a person changed the arguments of call {call.call_id} to {call.arguments}."
        )
        asks = verdict.outcome is Outcome.REQUIRE_APPROVAL
        replaced_by = self._next_id(judged) if asks else None
        return EditResult.model_validate(
            {"approval_id": edit.approval_id, "outcome": verdict.outcome.value, "replaced_by": replaced_by}
        )

    def _open(self, judged: Judged, editors: tuple[str, ...], kind: ApprovalKind = ApprovalKind.ACTION) -> str:
        call, verdict, opened = judged.call, judged.verdict, self._next_id(judged)
        self._calls[opened] = call
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
            expires_at_ms=now + int(self._run.admission.approval.expires_after * 1000),
        )
        self._run.apply(ApprovalOpened(approval))
        self._notices.tell(opened, "opened")
        return opened

    async def _ended(self, opened: str) -> ApprovalEnd:
        """Waits for the approval's end: by people, by its expiry, or because the run is to stop anyway."""
        approval = self._run.state.approvals[opened]
        if not await self._answered(opened, approval.requested_at_ms + approval.lifetime_ms * 9 // 10):
            self._notices.tell(opened, "expiring")
            if not await self._answered(opened, approval.expires_at_ms):
                self._run.apply(ApprovalEnded(opened, ApprovalEnd.EXPIRED))
        if self._end(opened) is None:
            self._run.apply(ApprovalEnded(opened, ApprovalEnd.INTERRUPTED))
        return self._end(opened) or ApprovalEnd.INTERRUPTED

    async def _answered(self, opened: str, until_ms: int) -> bool:
        """Waits for an answer, or for the run's own end, until a time; returns False where neither came."""
        left = timedelta(milliseconds=max(0, until_ms - self._run.clock.now_ms()))
        try:
            await workflow.wait_condition(
                lambda: self._end(opened) is not None or self._run.record.over,
                timeout=left,
                timeout_summary=f"{self._run.state.approvals[opened].tool} waits for approval",
            )
        except TimeoutError:
            return False
        return True

    def _end(self, opened: str) -> ApprovalEnd | None:
        return self._run.state.approvals[opened].end

    def _next_id(self, judged: Judged) -> str:
        approvals = self._run.state.approvals.values()
        before = sum(1 for approval in approvals if approval.call_id == judged.call.call_id)
        return approval_id(judged.verdict.digest, before)

    def _refusal(self, opened: str, end: ApprovalEnd) -> str:
        match end:
            case ApprovalEnd.DENIED:
                comment = self._run.state.approvals[opened].comment
                return "denied by a person" + (f": {comment}" if comment else "")
            case ApprovalEnd.EXPIRED:
                return "not executed: nobody answered before the approval expired"
            case _:
                return "not executed: the run was stopped while it waited for approval"

    def _result(self, opened: str) -> VoteResult:
        approval = self._run.state.approvals[opened]
        state = "open" if approval.end is None else "closed"
        return VoteResult(approval_id=opened, state=state, answered_by=list(approval.answered_by))


def _size(call: ProposedCall) -> int:
    return len(call.arguments.encode("utf-8", "replace"))


def denial(verdict: Verdict) -> str:
    """Returns what the model reads of a refusal: by which rule and why, never the rule's own values."""
    rules = f" by {', '.join(verdict.rules)}" if verdict.rules else ""
    return f"denied{rules}: {verdict.message or verdict.code.value}"
