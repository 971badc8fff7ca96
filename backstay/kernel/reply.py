"""What a reply of the model amounts to, before anything of it is checked."""

from dataclasses import dataclass

from .events import DecisionKind


@dataclass(frozen=True, slots=True)
class Reading:
    """The kind of a reply, and for an unusable one what the model is told about it."""

    kind: DecisionKind
    problem: str | None = None


def read_reply(text: str | None, calls: int, finish: str) -> Reading:
    """Reads a reply; `finish` is `stop`, `length` (cut) or `filtered`.

    A cut reply is never acted upon: its last call may be half of what was meant, and so may its text.
    """
    if finish == "length":
        return Reading(DecisionKind.MALFORMED, "your reply was cut by the length limit; answer shorter")
    if finish == "filtered":
        return Reading(DecisionKind.MALFORMED, "your reply was withheld by the provider's content filter")
    if calls:
        return Reading(DecisionKind.CALLS)
    if text and text.strip():
        return Reading(DecisionKind.ANSWER)
    return Reading(DecisionKind.MALFORMED, "your reply was empty; answer, or call a tool")
