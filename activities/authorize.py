"""Judges the calls of one decision, before anything is done."""

import functools
from collections.abc import Sequence
from dataclasses import replace

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.decision import ProposedCall
from backstay.contracts.policy import AuthorizeInput, AuthorizeResult
from backstay.errors import HistoryError, UnservedError
from backstay.kernel.verdict import Verdict
from backstay.telemetry import activities as spans

from .conversation import Conversations
from .exposure import Tally
from .past import Before
from .prepare import this_run
from .review import Reviewed, Reviewer

WORDS_BYTES = 600_000
"""The most bytes of words in the verdicts of one decision, because one event of the history holds them all."""


class Authorize:
    """The activity `authorize`: one verdict per call. Runs of before have it as a local activity."""

    def __init__(self, conversations: Conversations, reviewer: Reviewer) -> None:
        self._conversations = conversations
        self._reviewer = reviewer

    @activity.defn(name=names.AUTHORIZE)
    async def authorize(self, given: AuthorizeInput) -> AuthorizeResult:
        """Returns the verdicts, in the order asked.

        Raises:
            ApplicationError: of type `Unserved` or `UnservedTool`: another worker may judge the calls. Of type
                `ForeignRun`: the workflow that asks is no run of this task queue. Of type `HistoryError`: what the run
                had read cannot be found, and another attempt may find it.
        """
        if not activity.info().is_local:  # only our own workflows have local activities here
            given = await self._whole(given)
        try:
            self._reviewer.check_served(given, given.calls)
        except UnservedError as error:
            raise ApplicationError(str(error), type=error.code, non_retryable=True) from None
        before = await self._before(given)
        review = functools.partial(self._reviewed, Tally(given), before)
        return self._result(given, await self._reviewer.in_time(given, given.calls, review))

    def at_once(self, given: AuthorizeInput) -> AuthorizeResult | None:
        """Returns the same verdicts at once; None where they may take a moment, or another worker has to judge."""
        try:
            self._reviewer.check_served(given, given.calls)
        except UnservedError:
            return None
        review = functools.partial(self._reviewed, Tally(given), None)
        reviewed = self._reviewer.in_brief(given, given.calls, review)
        return None if reviewed is None else self._result(given, reviewed)

    def _result(self, given: AuthorizeInput, reviewed: Sequence[Reviewed]) -> AuthorizeResult:
        room = WORDS_BYTES // max(1, len(given.calls))
        verdicts = [_briefly(one.verdict, room) for one in reviewed]
        members = self._reviewer.members(given.agent, verdicts, given.above)
        return AuthorizeResult(verdicts=verdicts, identities=[one.identity for one in reviewed], members=members)

    async def _whole(self, given: AuthorizeInput) -> AuthorizeInput:
        """Returns the question with what stands in the run's history alone.

        Raises:
            ApplicationError: as `authorize` says.
        """
        run = this_run()
        opening = await self._conversations.opening(run)
        if not given.brief:
            return given
        try:
            found = await self._conversations.calls(run, given.facts.step, given.decision, given.proposed)
        except HistoryError as error:
            raise ApplicationError(str(error), type=error.code) from error
        proposed = {call.call_id: call for call in found}
        calls = [proposed.get(call.call_id, call) for call in given.calls]
        goal = opening.goal if opening.asked is None else opening.asked
        return given.model_copy(update={"goal": goal, "calls": calls, "brief": False, "proposed": []})

    async def _before(self, given: AuthorizeInput) -> Before | None:
        """Returns what the run had read when it proposed the calls; None where no rule wants to know.

        Raises:
            ApplicationError: of type `HistoryError`: the history does not show it yet.
        """
        if not self._reviewer.traces(given, given.calls):
            return None
        try:
            return await self._conversations.before(this_run(), given.facts.step, given.decision)
        except HistoryError as error:
            raise ApplicationError(str(error), type=error.code) from error

    def _reviewed(self, tally: Tally, before: Before | None, call: ProposedCall) -> Reviewed:
        given = tally.question()
        with spans.authorize(given, call) as judged:
            reviewed = self._reviewer.review(given, call, before).identified()
            judged(reviewed.verdict)
        tally.count(call.call_id, reviewed.verdict)
        return reviewed


def _briefly(verdict: Verdict, room: int) -> Verdict:
    """Cuts the words of a verdict to `room` bytes; its rules and groups stay whole."""
    each = room // (2 + len(verdict.reasons))
    return replace(
        verdict,
        message=_cut(verdict.message, each),
        reasons=tuple(_cut(reason, each) for reason in verdict.reasons),
        observed=_cut(verdict.observed, each),
    )


def _cut(text: str, limit: int) -> str:
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")
