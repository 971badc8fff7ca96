"""A run's transcript in lines that people read, all of it or as it happens."""

import asyncio
import json
from collections.abc import Callable, Generator
from typing import Any, cast

from rich.text import Text

from backstay.client.run import Run
from backstay.contracts.status import TranscriptItem
from backstay.errors import NoWorkerError, RefusedError

from ..shell.terminal import clean, one_line, progress

POLL_SECONDS = 0.3
_SILENT_SECONDS = 2.0
"""Between questions that no worker answers: the server keeps few of them, and others ask as well."""
_INDENT = " " * 9
_MARGIN = len(_INDENT) + 3
_MARKS = {
    "completed": ("✓", "green"),
    "failed": ("✗", "red"),
    "denied": ("✗", "yellow"),
    "cancelled": ("■", "yellow"),
    "unknown": ("?", "red"),
}


def print_line(line: Text) -> None:
    """A line on stderr, at once."""
    progress().print(line, soft_wrap=True)


def lines(item: TranscriptItem) -> Generator[Text]:
    """An item in lines that fit the terminal; the goal is for the caller to print."""
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
            yield Text.assemble(_INDENT, (mark, style), " ", (one_line(named + (item.text or ""), length), "dim"))
        case "note":
            yield Text.assemble(_INDENT, "· ", (one_line(item.text or "", length), "dim"))
        case "goal":
            return


def paragraphs(item: TranscriptItem) -> Generator[Text]:
    """An item in full where it is the goal or an answer, else in lines."""
    if item.kind == "goal":
        yield Text(f"goal     {_indented(item.text)}")
    elif item.kind == "decision" and not item.calls and item.status == "answer":
        yield Text.assemble((f"{_label(item.step)}→ ", "bold"), _indented(item.text))
    else:
        yield from lines(item)


class Follower:
    """Prints a run's transcript as it grows."""

    def __init__(self, run: Run, printed: Callable[[Text], None]) -> None:
        self._run = run
        self._print = printed
        self._seen = 0
        self.heard = asyncio.Event()
        """Set once a worker has answered."""

    async def follow(self) -> None:
        """Prints what is new, again and again, until it is cancelled."""
        while True:
            answered = await self.catch_up()
            await asyncio.sleep(POLL_SECONDS if answered else _SILENT_SECONDS)

    async def catch_up(self) -> bool:
        """Prints what is new; False where no worker answers."""
        try:
            async for item in self._run.transcript(self._seen):
                self._seen = item.n
                for line in lines(item):
                    self._print(line)
        except (NoWorkerError, RefusedError):
            return False
        self.heard.set()
        return True


def _step(step: int, mark: str, text: str, length: int) -> Text:
    return Text.assemble((f"{_label(step)}{mark} ", "bold"), one_line(text, length))


def _label(step: int) -> str:
    return f"step {step}".ljust(len(_INDENT))


def _indented(text: str | None) -> str:
    return clean(text or "").replace("\n", "\n" + _INDENT)


def _arguments(spelled: str) -> str:
    """Arguments as in a call: `order_id='A17', amount=25`; as they were spelled where they are no object."""
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
