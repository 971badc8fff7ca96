"""Judges the calls of a decision as soon as it is made, so that the verdicts stand in the history together with it.

INVARIANT: what a review needs that takes time, or is not known yet, is left to `authorize`: a reply that was paid for
never waits for a verdict, and no fault of a review loses it.
"""

from datetime import UTC, datetime

from temporalio import activity

from backstay.contracts.admission import Opening
from backstay.contracts.conversation import ModelReply
from backstay.contracts.decision import Beforehand, DecideInput, Decision, EarlyVerdicts
from backstay.contracts.policy import AuthorizeInput, RunFacts
from backstay.kernel.plan import billed

from .authorize import Authorize


class EarlyJudge:
    """Judges calls where that is brief, by the same review as `authorize`."""

    def __init__(self, authorize: Authorize) -> None:
        self._authorize = authorize

    def verdicts(
        self, opening: Opening, given: DecideInput, decision: Decision, reply: ModelReply
    ) -> EarlyVerdicts | None:
        """Returns the verdicts over a decision's calls; None where `authorize` has to be asked.

        Args:
            opening: the start of the run.
            given: the question that was decided, with the run's facts from before it.
            decision: the decision.
            reply: the reply that it was read from, with its bill.
        """
        if given.beforehand is None or not decision.calls or decision.problem or reply.usage is None:
            return None
        try:
            price = opening.admission.model.named(given.model).price
            spent = given.beforehand.spent_usd + billed(price, reply.usage.counted(), reply.price).usd
            asked = _question(opening, given, given.beforehand, decision, spent)
            found = self._authorize.at_once(asked)
        except Exception:  # the reply is worth more than a verdict that comes early
            activity.logger.exception("the calls of a decision could not be judged at once")
            return None
        if found is None:
            return None
        return EarlyVerdicts(
            verdicts=found.verdicts,
            identities=found.identities,
            members=found.members,
            now=asked.now,
            spent_usd=spent,
        )


def _question(
    opening: Opening, given: DecideInput, before: Beforehand, decision: Decision, spent: int
) -> AuthorizeInput:
    """Returns the question that the run itself would ask now."""
    return AuthorizeInput(
        run_id=opening.run_id,
        run_key=given.run_key,
        agent=opening.agent,
        tenant=opening.tenant,
        requested_by=opening.requested_by,
        goal=opening.goal if opening.asked is None else opening.asked,
        facts=RunFacts.after(before, given.step, spent, decision.calls),
        now=int(datetime.now(UTC).timestamp()),
        calls=decision.calls,
        tools={tool.name: tool.digest for tool in opening.admission.tools},
        version=opening.admission.agent_version,
        bounds=before.bounds,
        decision=decision.digest(given.step),
        above=opening.above,
    )
