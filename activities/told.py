"""Shortens what goes back to the model of its own words, where they were refused and are long."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from backstay.contracts.conversation import Decided, Item, Observed, Said
from backstay.contracts.decision import Decision, Part, ProposedCall
from backstay.kernel.arguments import (
    DENIED_CHARACTERS,
    denied_arguments,
    is_long,
    is_long_denied,
    refused_arguments,
    refused_text,
)


def told(conversation: Sequence[Item]) -> tuple[Item, ...]:
    """Returns a conversation as the model reads it: of long words that were refused only the beginning.

    Refused are calls that were not executed, and whole replies that could not be used. A reply without calls is one of
    those, unless words of a person follow it that begin a turn: else an answer ends a run.
    """
    seen = {item.call_id: item for item in conversation if isinstance(item, Observed)}
    answers = _answers(conversation)
    return tuple(item if at in answers else _item(item, seen) for at, item in enumerate(conversation))


def _answers(conversation: Sequence[Item]) -> set[int]:
    """Returns the places of replies that were answers."""
    found: set[int] = set()
    last: int | None = None
    for at, item in enumerate(conversation):
        if isinstance(item, Decided):
            last = None if item.decision.calls else at
        elif isinstance(item, Said) and item.opens and last is not None:
            found.add(last)
    return found


def _item(item: Item, seen: dict[str, Observed]) -> Item:
    if not isinstance(item, Decided):
        return item
    decision = item.decision
    unusable = decision.finish != "stop" or decision.problem is not None or not decision.calls
    if not unusable and not any(_is_refused(seen.get(call.call_id)) for call in decision.calls):
        return item
    calls = [_call(call, seen.get(call.call_id), unusable) for call in decision.calls]
    refused = [unusable or _is_refused(seen.get(call.call_id)) for call in decision.calls]
    changes: dict[str, Any] = {"calls": calls, "parts": list(_parts(decision, refused, unusable))}
    if unusable:
        changes |= {"text": refused_text(decision.text) if decision.text else decision.text}
        extra = decision.extra if changes["text"] == decision.text else _without_content(decision.extra)
        changes |= {"extra": _bounded(extra)}
    if all(getattr(decision, name) == value for name, value in changes.items()):
        return item
    return Decided(decision.model_copy(update=changes))


def _call(call: ProposedCall, seen: Observed | None, unusable: bool) -> ProposedCall:
    unfit = unusable or (seen is not None and seen.refused)
    if unfit and is_long(call.arguments):
        return call.model_copy(update={"arguments": refused_arguments(call.arguments)})
    if seen is not None and seen.denied and is_long_denied(call.arguments):
        return call.model_copy(update={"arguments": denied_arguments(call.arguments)})
    return call


def _is_refused(seen: Observed | None) -> bool:
    return seen is not None and (seen.refused or seen.denied)


def _parts(decision: Decision, refused: list[bool], unusable: bool) -> Iterator[Part]:
    """Yields the parts of a reply; those that were refused without long fields that nobody here reads."""
    of_calls = iter(refused)
    for part in decision.parts:
        bounded = next(of_calls, unusable) if part.kind == "call" else unusable
        yield part.model_copy(update={"extra": _bounded(part.extra)}) if bounded else part


def _without_content(extra: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields without the parts of a text that is not sent whole."""
    return {name: value for name, value in extra.items() if name != "content"}


def _bounded(extra: dict[str, Any]) -> dict[str, Any]:
    return extra if len(json.dumps(extra, ensure_ascii=False)) <= DENIED_CHARACTERS else {}
