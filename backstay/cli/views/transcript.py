"""Turns a run's transcript into lines that people read."""

import json
from collections.abc import Generator
from typing import Any, cast

from rich.text import Text

from backstay.contracts.status import TranscriptItem

from ..shell.terminal import clean, one_line, progress

_INDENT = " " * 9
_MARGIN = len(_INDENT) + 3
_MARKS = {
    "completed": ("✓", "green"),
    "failed": ("✗", "red"),
    "denied": ("✗", "yellow"),
    "cancelled": ("■", "yellow"),
    "unknown": ("?", "red"),
}


def lacking(what: str, archive: bool) -> str:
    """Returns the words for what lies in links that Temporal has forgotten, and cannot be read.

    Args:
        what: records or items, by their numbers.
        archive: whether there is an archive, which lacks them too.
    """
    if archive:
        return f"{what} lie in links that Temporal has forgotten, and the archive lacks them"
    return f"{what} lie in links that Temporal has forgotten, and there is no archive: set BACKSTAY_ARCHIVE to read it"


def print_line(line: Text) -> None:
    """Prints a line on stderr at once."""
    progress().print(line, soft_wrap=True)


def lines(item: TranscriptItem) -> Generator[Text]:
    """Yields an item in lines that fit the terminal; nothing for the goal, which the caller prints."""
    length = max(40, min(200, progress().width) - _MARGIN)
    match item.kind:
        case "decision":
            for call in item.calls or []:
                yield _step(item.step, "→", f"{call['tool']}({_arguments(call['arguments'])})", length)
            if item.status == "malformed":
                yield _step(item.step, "✗", "a reply that cannot be used", length)
            elif not item.calls:
                yield _step(item.step, "→", f"answer: {item.text or ''}", length)
        case "result":
            mark, style = _MARKS.get(item.status or "", ("·", ""))
            named = "" if item.status == "completed" else f"{item.tool}: "
            if item.grant:
                yield Text.assemble(_INDENT, "· ", (one_line(item.grant, length), "dim"))
            yield Text.assemble(_INDENT, (mark, style), " ", (one_line(named + (item.text or ""), length), "dim"))
        case "note":
            yield Text.assemble(_INDENT, "· ", (one_line(item.text or "", length), "dim"))
        case "compacted":
            words = f"older turns in short: {item.text}" if item.status == "summarised" else item.text
            yield Text.assemble(_INDENT, "· ", (one_line(words or "", length), "dim"))
        case "said":
            yield Text.assemble(_INDENT, "· ", (one_line(f"{item.by}: {item.text or ''}", length), "bold"))
        case "goal":
            return


def paragraphs(item: TranscriptItem) -> Generator[Text]:
    """Yields the goal or an answer in full, and any other item in lines."""
    if item.kind == "goal":
        yield Text(f"goal     {_indented(item.text)}")
    elif item.kind == "decision" and not item.calls and item.status == "answer":
        yield Text.assemble((f"{_label(item.step)}→ ", "bold"), _indented(item.text))
    else:
        yield from lines(item)


def _step(step: int, mark: str, text: str, length: int) -> Text:
    return Text.assemble((f"{_label(step)}{mark} ", "bold"), one_line(text, length))


def _label(step: int) -> str:
    return f"step {step}".ljust(len(_INDENT))


def _indented(text: str | None) -> str:
    return clean(text or "").replace("\n", "\n" + _INDENT)


def _arguments(spelled: str) -> str:
    """Spells arguments as in a call, `order_id='A17', amount=25`; leaves what is no JSON object as it is."""
    try:
        given: Any = json.loads(spelled)
    except (ValueError, RecursionError):
        return spelled
    if not isinstance(given, dict):
        return spelled
    return ", ".join(f"{name}={_value(value)}" for name, value in cast("dict[str, Any]", given).items())


def _value(value: Any) -> str:
    plain = isinstance(value, str | int | float | bool) or value is None
    return repr(value) if plain else json.dumps(value, ensure_ascii=False)
