"""Holds the errors of activities that ask the engine: for a history, an effect, a ledger."""

from .base import BackstayError


class HistoryError(BackstayError):
    """Raised when the history of a run lacks something that it must hold; reading is tried again.

    When there is no history at all, raise `HistoryGoneError`.
    """

    code = "HistoryError"


class HistoryGoneError(HistoryError):
    """Raised by an activity that reads a history which the engine does not keep: never made, or past its retention.

    A client that looks for a run raises `RunNotFoundError`.
    """

    code = "HistoryGone"


class ForeignRunError(BackstayError):
    """Raised when an activity is asked by a workflow of another type or task queue than this worker runs.

    Whoever may write to the namespace can schedule any activity; another try changes nothing. For a history that lacks
    something raise `HistoryError`.
    """

    code = "ForeignRun"


class EffectUnreachedError(BackstayError):
    """Raised when a shared effect cannot be asked for its result; it may happen all the same, and is asked again.

    When the tool itself cannot tell what happened, raise `OutcomeUnknownError`.
    """

    code = "EffectUnreached"


class LedgerUnansweredError(BackstayError):
    """Raised when a ledger does not say whether a run may spend; for a shared effect raise `EffectUnreachedError`."""

    code = "LedgerUnanswered"
