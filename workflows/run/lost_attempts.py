"""Reads from a failure what a request to the model may have cost."""

from temporalio.exceptions import ActivityError, ApplicationError

from backstay.contracts.decision import LostAttempts
from backstay.kernel.price import Lost


def lost_in(error: ActivityError, attempts: int) -> Lost:
    """Returns what may have been billed: all allowed attempts, unless a typed failure says better."""
    if isinstance(error.cause, ApplicationError) and error.cause.details:
        try:
            return LostAttempts.model_validate(error.cause.details[0]).lost()
        except ValueError:
            return Lost(attempts)
    return Lost(attempts)
