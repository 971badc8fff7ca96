"""Judges the calls of one decision, before anything is done."""

from temporalio import activity

from backstay.contracts import names
from backstay.contracts.calls import AuthorizeInput, AuthorizeResult

from .review import Asked, Reviewer


class Authorize:
    """The local activity `authorize`: one verdict per call, recorded in the history as one event."""

    def __init__(self, reviewer: Reviewer) -> None:
        self._reviewer = reviewer

    @activity.defn(name=names.AUTHORIZE)
    async def authorize(self, given: AuthorizeInput) -> AuthorizeResult:
        """The verdicts, in the order asked."""
        return AuthorizeResult(
            verdicts=[
                self._reviewer.review(
                    Asked(
                        given.run_id, given.run_key, given.agent, given.tenant, given.step, given.tools.get(call.tool)
                    ),
                    call,
                ).verdict
                for call in given.calls
            ]
        )
