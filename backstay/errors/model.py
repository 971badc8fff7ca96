"""Holds the error of a request to a model."""

from backstay.contracts.decision import BilledUsage

from .base import BackstayError


class ModelError(BackstayError):
    """Raised when a request to the model brings no usable reply.

    A reply that can be read but proposes nonsense is no error: it is a malformed decision.

    Attributes:
        kind: a stable word: `unreachable`, `rate_limited`, `overloaded`, `refused`, `timeout`, `lost`, `unreadable`,
            `too_long`.
        retryable: whether the same request may succeed later.
        billed: False only if the provider certainly did not bill; True if it may have.
        retry_after: seconds the provider asked to wait, or None.
        bill: what the provider counted for the request all the same, where it said so in figures; or None.
        model: the model that the provider says it asked, where it says so; or None.
    """

    code = "ModelError"

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        retryable: bool,
        billed: bool,
        retry_after: float | None = None,
    ) -> None:
        self.kind, self.message, self.retryable, self.billed = kind, message, retryable, billed
        self.retry_after = retry_after
        self.bill: BilledUsage | None = None
        self.model: str | None = None
        super().__init__(f"{kind}: {message}")

    def worded(self, message: str) -> "ModelError":
        """Returns the same error in other words, without its cause."""
        error = ModelError(
            self.kind, message, retryable=self.retryable, billed=self.billed, retry_after=self.retry_after
        )
        error.bill, error.model = self.bill, self.model
        return error

    def that_billed(self, bill: BilledUsage | None = None, model: str | None = None) -> "ModelError":
        """Returns the same error as one that may have been billed, with the provider's figures where it gave some."""
        error = self.worded(self.message)
        error.billed, error.bill, error.model = True, bill or self.bill, model or self.model
        return error
