"""Puts to people what the server of a tool asks in the middle of a call, before the call goes on with their replies."""

from dataclasses import dataclass, field, replace

from backstay.contracts.asked import Asked, Replies, Reply, ServerQuestion
from backstay.contracts.carried_call import CarriedTry
from backstay.contracts.decision import ProposedCall
from backstay.kernel.approval import ApprovalEnd, ApprovalKind
from backstay.kernel.audit import canonical
from backstay.kernel.form import DECLINE
from backstay.kernel.keys import fingerprint

from .approve import Approvals
from .authorize import Judged
from .live import LiveRun
from .released import Released

WHY = "the server of the tool asks a person in the middle of a call; the words are its own"
MOST_ROUNDS = 5
"""The most times that one call may stop to ask."""
UNANSWERED = "failed: the server of the tool asked people a question, and nobody answered in time"
TOO_OFTEN = f"failed: the server of the tool asked people more than {MOST_ROUNDS} times in one call"


@dataclass(slots=True)
class Dialogue:
    """The questions of the servers in one call, and the replies to them; `ended` is why it cannot go on."""

    run: LiveRun
    approvals: Approvals
    released: Released
    replies: Replies | None = None
    ended: str = ""
    rounds: int = 0
    given: dict[str, Reply] = field(default_factory=dict[str, Reply])
    """The replies to what is asked now, as far as there are any."""
    _goes_on: bool = False

    def carry_on(self, left: CarriedTry) -> None:
        """Goes on in the middle of the questions that the link before has put."""
        self.replies, self.rounds, self.given = left.replies, left.rounds, dict(left.given)
        self._goes_on = left.asked is not None

    async def goes_on(self, asked: Asked) -> bool:
        """Puts questions to people, one after another; tells whether the call goes on with their replies."""
        if not self._goes_on:
            self.rounds, self.given = self.rounds + 1, {}
        self._goes_on = False
        if self.rounds > MOST_ROUNDS:
            self.ended = TOO_OFTEN
            return False
        for question in asked.questions:
            if question.key in self.given:
                continue
            reply = await self._reply(question)
            # While a person thinks the run may be killed, paused or run out of time.
            if reply is None:
                return False
            self.given[question.key] = reply
        replies = self.given
        if self.replies is not None and asked.begins_again:
            replies = {**self.replies.replies, **replies}
        self.replies = Replies(replies=replies, state=asked.state, begins_again=asked.begins_again)
        return True

    async def _reply(self, question: ServerQuestion) -> Reply | None:
        run, form = self.run, question.form
        tool, settings = run.admission.tool(self.released.call.tool), run.admission.approval
        group = (tool.answered_by if tool else None) or ""
        shown = canonical(form.shown(question.message))
        call = ProposedCall(call_id=self.released.call.call_id, tool=self.released.call.tool, arguments=shown)
        # The digest is that of the question to this very call: an answer counts for no other.
        digest = f"sha256:{fingerprint(f'{run.key} {self.released.verdict.digest} {shown}')}"
        asks = replace(
            self.released.verdict,
            digest=digest,
            groups=(group,),
            rules=(),
            reasons=(WHY,),
            grantable=None,
            origins=None,
        )
        asked = Judged(call, asks, {group: settings.answering.get(group, [])})
        closed, answer = await self.approvals.put(asked, ApprovalKind.QUESTION, form)
        if answer is None:
            self.ended = UNANSWERED if closed.end is ApprovalEnd.EXPIRED else ""
            return None
        if answer.answer == DECLINE:
            return Reply(action="decline")
        content = form.filled(answer.answer)
        return Reply(action="accept", content=content if isinstance(content, dict) else {})
