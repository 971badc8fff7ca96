"""Takes the messages that answer an open approval: yes, no, what became of a call, and other arguments."""

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from backstay.contracts import names
from backstay.contracts.approval import EditResult, GrantedVoteResult, VoteResult
from backstay.contracts.carry import Carried
from backstay.contracts.messages import Answer, Approve, Edit, Vote
from backstay.kernel.approval import Refusal
from backstay.kernel.terms import Agreed

from .approve import WAITING_BYTES, Approvals
from .authorize import Judged
from .messages import Messages
from .record import Record


class Answers:
    """Takes what people answer a run.

    Each message is read, and refused where it answers nothing or does not count. Where a proof is to be verified that
    comes last: nothing is verified for a message that is refused anyway, and it is looked at again afterwards, because
    meanwhile the approval may have been answered, or have expired.
    """

    def __init__(self, messages: Messages, record: Record, carried: Carried | None) -> None:
        self._messages = messages
        self._record = record
        self._goes_on = carried is not None
        self.approvals: Approvals | None = None
        """The run's approvals, from its turn on."""

    def begin(self, approvals: Approvals) -> None:
        """Takes answers from now on; in a link that goes on with a run those that came before have waited for it."""
        self.approvals = approvals

    async def approve(self, args: tuple[Any, ...]) -> VoteResult:
        """Counts a yes, and gives the standing grant that may come with it."""
        vote = self._messages.read(names.APPROVE, Approve, args)
        await self._taken_over()
        self._agreed(vote, self._open(names.APPROVE, vote))
        approvals = await self._proven_open(names.APPROVE, vote)
        terms = self._agreed(vote, approvals)
        return approvals.vote(vote) if terms is None else await self._granting(vote, approvals, terms)

    async def deny(self, args: tuple[Any, ...]) -> VoteResult:
        """Refuses the call."""
        vote = self._messages.read(names.DENY, Vote, args)
        await self._taken_over()
        return (await self._proven_open(names.DENY, vote)).deny(vote)

    async def answer(self, args: tuple[Any, ...]) -> VoteResult:
        """Takes down what became of a call, or the answer to a question."""
        answer = self._messages.read(names.ANSWER, Answer, args)
        await self._taken_over()
        approvals = await self._proven_open(names.ANSWER, answer, releases=False)
        if problem := approvals.unfit(answer):
            raise self._messages.refused(names.ANSWER, "InvalidAnswer", problem, answer.by)
        return approvals.answered(answer)

    async def edit(self, args: tuple[Any, ...]) -> EditResult:
        """Replaces the arguments of a waiting call, which then goes through policy as a new action."""
        edit = self._messages.read(names.EDIT, Edit, args)
        await self._taken_over()
        try:
            judged = await (await self._proven_open(names.EDIT, edit)).judge_edit(edit)
            approvals = self._changeable(edit, judged)
            judged = await approvals.recounted(edit, judged, lambda: self._open(names.EDIT, edit))
        except ActivityError as error:
            text = f"the edited call cannot be judged now: {error.cause}; try again"
            raise self._messages.refused(names.EDIT, names.UNSERVED, text, edit.by) from None
        return approvals.edited(edit, judged)

    async def _taken_over(self) -> None:
        """Waits in a link that goes on with a run until what the link before has asked people stands here too."""
        if self._goes_on and self.approvals is None:
            await workflow.wait_condition(lambda: self.approvals is not None or self._record.closed)

    def _agreed(self, vote: Approve, approvals: Approvals) -> Agreed | None:
        """Returns the standing grant that a yes wants to give, where the rules that ask allow it."""
        terms = approvals.agreed(vote)
        if isinstance(terms, Refusal):
            raise self._messages.refused(names.APPROVE, terms.code, terms.text, vote.by)
        return terms

    async def _granting(self, vote: Approve, approvals: Approvals, terms: Agreed) -> GrantedVoteResult:
        """Gives a standing grant and counts the yes that it comes with: both, or neither."""
        async with approvals.standing.giving:
            self._open(names.APPROVE, vote)  # another answer may have come first
            grant = await approvals.grant(vote, terms)
            if isinstance(grant, Refusal):
                raise self._messages.refused(names.APPROVE, grant.code, grant.text, vote.by)
            try:
                self._open(names.APPROVE, vote)  # while it was given, the approval may have expired
            except ApplicationError:
                await approvals.standing.revoke(grant)
                raise
            given = approvals.standing.granted(grant)
            return GrantedVoteResult(**approvals.vote(vote).model_dump(), grant=given)

    def _changeable(self, edit: Edit, judged: Judged) -> Approvals:
        """Returns the run's approvals, where a call can be replaced by the edited one."""
        if judged.verdict.unusable:
            text = f"the arguments do not fit: {judged.verdict.message}"
            raise self._messages.refused(names.EDIT, "InvalidArguments", text)
        # While policy was asked the approval may have been answered, or have expired.
        approvals = self._open(names.EDIT, edit)
        if not approvals.has_room(edit, judged.call):
            text = f"the arguments of all waiting calls would be longer than {WAITING_BYTES} bytes together"
            raise self._messages.refused(names.EDIT, "InvalidArguments", text, edit.by)
        return approvals

    def _open(self, name: str, vote: Vote, *, releases: bool = True) -> Approvals:
        """Returns the run's approvals, where a message answers an open one and its sender may answer it."""
        if self.approvals is None:
            raise self._messages.unknown_approval(name, vote)
        self._messages.check_approval(name, vote, releases=releases)
        return self.approvals

    async def _proven_open(self, name: str, vote: Vote, *, releases: bool = True) -> Approvals:
        """Returns the run's approvals, where its sender may answer the open one and is who the message says."""
        self._open(name, vote, releases=releases)
        await self._messages.check_sender(name, vote)
        return self._open(name, vote, releases=releases)
