"""Holds the errors of orders to the control plane."""

from .base import BackstayError


class ControlUnansweredError(BackstayError):
    """Raised when no worker serves the control plane in time; the order may come into force with the next worker.

    When the control plane says no, raise `OrderRefusedError`; where the server is silent, `UnreachableError`.
    """

    code = "ControlUnanswered"

    def __init__(self) -> None:
        super().__init__("the control plane did not answer in time: nobody knows whether the order is in force")


class OrderRefusedError(BackstayError):
    """Raised when the control plane refuses an order, which then changes nothing.

    When nobody answers, raise `ControlUnansweredError`.

    Attributes:
        reason: a stable word, such as `unknown_incident`, or the type of the refusal.
    """

    code = "OrderRefused"

    def __init__(self, reason: str, message: str) -> None:
        self.reason, self.message = reason, message
        super().__init__(f"the control plane refused: {message}")
