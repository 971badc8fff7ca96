"""Judges the calls of one decision, before anything is done."""

from dataclasses import replace

from temporalio import activity

from backstay.contracts import names
from backstay.contracts.decision import ProposedCall
from backstay.contracts.policy import AuthorizeInput, AuthorizeResult
from backstay.kernel.verdict import Verdict
from backstay.telemetry import activities as spans

from .review import Reviewer

WORDS_BYTES = 600_000
"""The most bytes of words in the verdicts of one decision, because one event of the history holds them all."""


class Authorize:
    """The local activity `authorize`: one verdict per call, recorded in the history as one event."""

    def __init__(self, reviewer: Reviewer) -> None:
        self._reviewer = reviewer

    @activity.defn(name=names.AUTHORIZE)
    async def authorize(self, given: AuthorizeInput) -> AuthorizeResult:
        """Returns the verdicts, in the order asked."""
        room = WORDS_BYTES // max(1, len(given.calls))
        verdicts = [_briefly(self._verdict(given, call), room) for call in given.calls]
        return AuthorizeResult(verdicts=verdicts, members=self._reviewer.members(given.agent, verdicts))

    def _verdict(self, given: AuthorizeInput, call: ProposedCall) -> Verdict:
        with spans.authorize(given, call) as judged:
            verdict = self._reviewer.review(given, call).verdict
            judged(verdict)
        return verdict


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
