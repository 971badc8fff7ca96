"""The closed set of stop reasons, in the order in which they win."""

from dataclasses import dataclass
from enum import StrEnum


class StopReason(StrEnum):
    """The reasons, the strongest first: where several hold, the first one is the run's.

    Attributes:
        KILLED: a person killed the run.
        INCIDENT_STOP: an incident stop is in force.
        OUTCOME_UNKNOWN: nobody can tell whether a `once` call happened, and no group is set to ask.
        POLICY_DENIED: rules refused as many calls as `[stop] denials` allows.
        APPROVAL_DENIED: people refused as many calls as `[stop] denials` allows.
        APPROVAL_EXPIRED: nobody answered an approval in time, and `[approval] on_expiry` is `stop`.
        BUDGET_EXHAUSTED: a further call is needed and does not fit; the detail names the dimension, such as `usd`.
        DEADLINE_EXCEEDED: the budget of `seconds` is used up.
        NO_PROGRESS: the same calls gave the same results, `[stop] repeats` times.
        MALFORMED_CALLS: decisions could not be used, `[stop] malformed` times in a row.
        TOOL_FAILURES: calls of tools failed, `[stop] failures` times in a row.
        MODEL_UNAVAILABLE: the model gave no usable reply within `[model] give_up_after`.
        COMPLETED: the model answered.
    """

    KILLED = "killed"
    INCIDENT_STOP = "incident_stop"
    OUTCOME_UNKNOWN = "outcome_unknown"
    POLICY_DENIED = "policy_denied"
    APPROVAL_DENIED = "approval_denied"
    APPROVAL_EXPIRED = "approval_expired"
    BUDGET_EXHAUSTED = "budget_exhausted"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    NO_PROGRESS = "no_progress"
    MALFORMED_CALLS = "malformed_calls"
    TOOL_FAILURES = "tool_failures"
    MODEL_UNAVAILABLE = "model_unavailable"
    COMPLETED = "completed"


INTERRUPTING = frozenset({StopReason.KILLED, StopReason.INCIDENT_STOP, StopReason.DEADLINE_EXCEEDED})
"""Reasons that do not wait for running activities to end: they cancel them, then wait."""


class RunStatus(StrEnum):
    """The end of a run, seen from outside."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop reason with its detail: the dimension, the rule, the person's words."""

    reason: StopReason
    detail: str | None = None

    @property
    def status(self) -> RunStatus:
        """Completed with an answer, failed without a model, else stopped by governance."""
        match self.reason:
            case StopReason.COMPLETED:
                return RunStatus.COMPLETED
            case StopReason.MODEL_UNAVAILABLE:
                return RunStatus.FAILED
            case _:
                return RunStatus.STOPPED

    @property
    def error_type(self) -> str:
        """The reason in CamelCase, the type of the error that a failed run closes with."""
        return "".join(part.capitalize() for part in self.reason.value.split("_"))


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Each threshold N stops at the Nth: refusals, repeats, failures in a row, unusable decisions in a row.

    `expiry_stops`: an approval that expires stops the run at once, instead of counting as a refusal. `conclude_at`: the
    percentage of a budget at which the agent is told to conclude, and for which a last answer is held back; None never.
    `wrap_up`: a last answer without tools is held back to the end, and asked for where the budget is exhausted.
    """

    denials: int = 3
    repeats: int = 3
    failures: int = 5
    malformed: int = 3
    expiry_stops: bool = False
    conclude_at: int | None = None
    wrap_up: bool = False
