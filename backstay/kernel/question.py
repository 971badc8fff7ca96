"""Questions of the model to people: which words may answer one, and what the model reads."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from .audit import canonical
from .characters import escaped, steers

OUTCOMES = ("happened", "not_happened", "stop")
"""The answers about a call with an unknown outcome."""
NO_ANSWER = "nobody answered in time"
_IN_TEXTS = "\n\t"


def choices_of(arguments: Mapping[str, Any]) -> list[str]:
    """Returns the answers that a question lets people choose from; none where any words answer it."""
    given = arguments.get("choices")
    return [one for one in cast("list[object]", given) if isinstance(one, str)] if isinstance(given, list) else []


def unfit(answer: str, choices: Sequence[str]) -> str | None:
    """Returns why words answer no question; None where they do.

    Args:
        answer: the words.
        choices: the only answers that count; any do where there are none.
    """
    if choices:
        listed = ", ".join(f"`{escaped(one)}`" for one in choices)
        return None if answer in choices else f"the answer is one of {listed}"
    if not answer.strip():
        return "the answer has no words"
    if any(steers(sign) and sign not in _IN_TEXTS for sign in answer):
        return "the answer has a control character, or one that nobody sees"
    return None


def answered(answer: str, by: str, comment: str | None) -> str:
    """Returns what the model reads of an answer."""
    return canonical({"answer": answer, "by": by, **({"comment": comment} if comment else {})})


def unanswered() -> str:
    """Returns what the model reads where nobody answered."""
    return canonical({"answer": None, "why": NO_ANSWER})
