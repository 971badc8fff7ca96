"""Waits for people: an approval opens for one exact call, and ends with an answer, its expiry, or the run."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow

from backstay.contracts.admission import Admission
from backstay.contracts.approval import EditResult, VoteResult
from backstay.contracts.call import RESULT_BYTES, Reconciled, shortened
from backstay.contracts.decision import ProposedCall
from backstay.contracts.messages import Answer, Edit, Vote
from backstay.contracts.policy import Consent
from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind
from backstay.kernel.arguments import Unreadable, read_arguments
from backstay.kernel.audit import canonical
from backstay.kernel.events import ApprovalEnded, ApprovalOpened, ApprovalVoted, CallJudged
from backstay.kernel.verdict import Code, Outcome, Verdict

from .authorize import judge
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
    """A call that may not, and what the model is told."""

    text: str


@dataclass(frozen=True, slots=True)
class _Edited:
    call: ProposedCall
    verdict: Verdict
    members: Mapping[str, Sequence[str]]
    editors: tuple[str, ...]


class Approvals:
    """The open approvals of a run."""

    def __init__(self, run: LiveRun) -> None:
        self._run = run
        self._admission: Admission | None = None
        self._calls: dict[str, ProposedCall] = {}
        self._edits: dict[str, _Edited] = {}
        self._answers: dict[str, Answer] = {}
        self._notices = Notices(run)

    async def released(
        self, admission: Admission, call: ProposedCall, verdict: Verdict, members: Mapping[str, Sequence[str]]
    ) -> Released | Refused:
        """Waits until people release the call or refuse it; a yes is judged again before it counts."""
        self._admission = admission
        consent, edited = Consent(), False
        while verdict.outcome is Outcome.REQUIRE_APPROVAL:
            approval_id = self._open(admission, call, verdict, members, tuple(consent.editors))
            end = await self._ended(admission, approval_id)
            self._notices.tell(admission, approval_id, "closed")
            if end is ApprovalEnd.APPROVED:
                people = self._run.state.approvals[approval_id].answered_by
                consent = consent.model_copy(update={"approved_by": list(people)})
                judged = await judge(self._run, admission, [call], {call.call_id: consent})
                verdict, members = judged.verdicts[0], judged.members
                self._run.apply(CallJudged(call.call_id, call.tool, verdict))
            elif end is ApprovalEnd.EDITED:
                after = self._edits.pop(approval_id)
                call, verdict, members, edited = after.call, after.verdict, after.members, True
                consent = Consent(editors=list(after.editors))
            else:
                return Refused(self._refusal(approval_id, end))
        if not verdict.allowed:
            return Refused(denial(verdict))
        return Released(call, verdict, consent, edited)

    async def outcome(self, admission: Admission, tool: str, call: ProposedCall, digest: str) -> Reconciled:
        """Asks people what became of a call whose end nobody saw; `unknown` where nobody can be asked or answers."""
        group = admission.approval.unknown
        if group is None or self._run.over:
            return Reconciled(answer="unknown")
        verdict = Verdict(
            Outcome.REQUIRE_APPROVAL, Code.OUTCOME_UNKNOWN, digest, "", groups=(group,), reasons=(UNKNOWN,)
        )
        members = {group: admission.approval.unknown_members}
        approval_id = self._open(admission, call, verdict, members, (), ApprovalKind.OUTCOME_UNKNOWN)
        end = await self._ended(admission, approval_id)
        self._notices.tell(admission, approval_id, "closed")
        answer = self._answers.get(approval_id)
        if end is not ApprovalEnd.ANSWERED or answer is None or answer.answer == "stop":
            return Reconciled(answer="unknown")
        text = answer.result if isinstance(answer.result, str) else json.dumps(answer.result, ensure_ascii=False)
        return Reconciled.model_validate({"answer": answer.answer, "text": shortened(text, RESULT_BYTES)[0]})

    def answered(self, answer: Answer) -> VoteResult:
        """Takes a person's word for what became of a call."""
        self._answers[answer.approval_id] = answer
        self._run.apply(ApprovalEnded(answer.approval_id, ApprovalEnd.ANSWERED, answer.by, answer.answer))
        return self._result(answer.approval_id)

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

    async def judge_edit(self, edit: Edit) -> "tuple[ProposedCall, Verdict, Mapping[str, Sequence[str]]]":
        """What policy says of the call with other arguments; nothing changes yet."""
        call = self._calls[edit.approval_id].model_copy(update={"arguments": canonical(edit.args)})
        if self._admission is None:
            raise RuntimeError("an approval was open before the run was admitted")
        judged = await judge(self._run, self._admission, [call])
        return call, judged.verdicts[0], judged.members

    def has_room(self, edit: Edit, call: ProposedCall) -> bool:
        """Whether the arguments of all waiting calls fit into one message after an edit; one may always be shorter."""
        waiting = {one.approval_id: _size(self._calls[one.approval_id]) for one in self._run.state.open_approvals}
        before = waiting.pop(edit.approval_id)
        return _size(call) <= max(before, WAITING_BYTES - sum(waiting.values()))

    def edited(
        self, edit: Edit, call: ProposedCall, verdict: Verdict, members: Mapping[str, Sequence[str]]
    ) -> EditResult:
        """Replaces the waiting call by the edited one, which goes on as a new action."""
        before = self._run.state.approvals[edit.approval_id]
        self._run.apply(ApprovalEnded(edit.approval_id, ApprovalEnd.EDITED, edit.by, edit.comment))
        self._run.apply(CallJudged(call.call_id, call.tool, verdict))
        self._edits[edit.approval_id] = _Edited(call, verdict, members, (*before.editors, edit.by))
        self._run.news.note(
            f"The runtime says: a person changed the arguments of call {call.call_id} to {call.arguments}."
        )
        asks = verdict.outcome is Outcome.REQUIRE_APPROVAL
        replaced_by = self._approval_id(call, verdict) if asks else None
        return EditResult.model_validate(
            {"approval_id": edit.approval_id, "outcome": verdict.outcome.value, "replaced_by": replaced_by}
        )

    def _open(
        self,
        admission: Admission,
        call: ProposedCall,
        verdict: Verdict,
        members: Mapping[str, Sequence[str]],
        editors: tuple[str, ...],
        kind: ApprovalKind = ApprovalKind.ACTION,
    ) -> str:
        approval_id = self._approval_id(call, verdict)
        arguments = read_arguments(call.arguments)
        self._calls[approval_id] = call
        self._run.asked[approval_id] = {} if isinstance(arguments, Unreadable) else arguments
        now = self._run.now_ms()
        approval = Approval(
            approval_id=approval_id,
            kind=kind,
            call_id=call.call_id,
            tool=call.tool,
            digest=verdict.digest,
            groups=verdict.groups,
            members={group: tuple(people) for group, people in members.items()},
            requester=self._run.request.requested_by,
            editors=editors,
            rules=verdict.rules,
            reasons=verdict.reasons,
            requested_at_ms=now,
            expires_at_ms=now + int(admission.approval.expires_after * 1000),
        )
        self._run.apply(ApprovalOpened(approval))
        self._notices.tell(admission, approval_id, "opened")
        return approval_id

    async def _ended(self, admission: Admission, approval_id: str) -> ApprovalEnd:
        """How the approval ended: by people, by its expiry, or because the run is to stop anyway."""
        approval = self._run.state.approvals[approval_id]
        if not await self._answered(approval_id, approval.requested_at_ms + approval.lifetime_ms * 9 // 10):
            self._notices.tell(admission, approval_id, "expiring")
            if not await self._answered(approval_id, approval.expires_at_ms):
                self._run.apply(ApprovalEnded(approval_id, ApprovalEnd.EXPIRED))
        if self._end(approval_id) is None:
            self._run.apply(ApprovalEnded(approval_id, ApprovalEnd.INTERRUPTED))
        return self._end(approval_id) or ApprovalEnd.INTERRUPTED

    async def _answered(self, approval_id: str, until_ms: int) -> bool:
        """Waits for an answer, or for the run's own end, until a time; False where neither came."""
        left = timedelta(milliseconds=max(0, until_ms - self._run.now_ms()))
        try:
            await workflow.wait_condition(
                lambda: self._end(approval_id) is not None or self._run.over,
                timeout=left,
                timeout_summary=f"{self._run.state.approvals[approval_id].tool} waits for approval",
            )
        except TimeoutError:
            return False
        return True

    def _end(self, approval_id: str) -> ApprovalEnd | None:
        return self._run.state.approvals[approval_id].end

    def _approval_id(self, call: ProposedCall, verdict: Verdict) -> str:
        """Derived from the digest of the exact call, and from how often people were asked about it before."""
        before = sum(1 for approval in self._run.state.approvals.values() if approval.call_id == call.call_id)
        return "apr_" + hashlib.sha256(f"{verdict.digest}\n{before}".encode()).hexdigest()[:24]

    def _refusal(self, approval_id: str, end: ApprovalEnd) -> str:
        match end:
            case ApprovalEnd.DENIED:
                return "denied by a person" + self._comment(approval_id)
            case ApprovalEnd.EXPIRED:
                return "not executed: nobody answered before the approval expired"
            case _:
                return "not executed: the run was stopped while it waited for approval"

    def _comment(self, approval_id: str) -> str:
        comment = self._run.state.approvals[approval_id].comment
        return f": {comment}" if comment else ""

    def _result(self, approval_id: str) -> VoteResult:
        approval = self._run.state.approvals[approval_id]
        state = "open" if approval.end is None else "closed"
        return VoteResult(approval_id=approval_id, state=state, answered_by=list(approval.answered_by))


def _size(call: ProposedCall) -> int:
    return len(call.arguments.encode("utf-8", "replace"))


def denial(verdict: Verdict) -> str:
    """What the model reads of a refusal: by which rule and why, never the rule's own values."""
    rules = f" by {', '.join(verdict.rules)}" if verdict.rules else ""
    return f"denied{rules}: {verdict.message or verdict.code.value}"
