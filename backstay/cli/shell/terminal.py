"""Prints for people: tables on stdout, progress on stderr, and no text that moves the cursor."""

import json
import os
import re
import shlex
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console, RenderableType
from rich.text import Text

from backstay.kernel.characters import escaped

from .output import Output as Output
from .streams import holds_unicode

_WIDE = 1_000
_BEYOND_ASCII = re.compile(r"[^\n -~]")
_KEPT = frozenset("\n\t\u200c\u200d")  # the last two join letters and emoji


def data() -> Console:
    """Returns the console for data, on stdout."""
    return _console(sys.stdout)


def progress() -> Console:
    """Returns the console for everything else, on stderr."""
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    # In a file or a pipe, lines are not cut to the width of a terminal, unless somebody asks for one.
    width = None if stream.isatty() or os.environ.get("COLUMNS") else _WIDE
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def write(*renderables: RenderableType) -> None:
    """Writes tables and texts to stdout; in a file or a pipe without blanks at the ends of lines."""
    console = data()
    for renderable in renderables:
        with console.capture() as captured:
            console.print(renderable)
        text = captured.get()
        sys.stdout.write(text if console.is_terminal else "".join(f"{line.rstrip()}\n" for line in text.splitlines()))
    sys.stdout.flush()


def say(text: str, style: str = "") -> None:
    """Prints one line on stderr at once."""
    progress().print(Text(text, style), soft_wrap=True)


def write_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Writes one JSON value to stdout; characters that steer a terminal, or that it cannot show, are escaped."""
    _write_json(value, indent=2)


def write_json_line(value: Mapping[str, Any]) -> None:
    """Writes one JSON object to stdout on a line of its own, as JSON Lines want it."""
    _write_json(value, indent=None)


def _write_json(value: Mapping[str, Any] | Sequence[Any], indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=not holds_unicode(sys.stdout), indent=indent)
    sys.stdout.write(_BEYOND_ASCII.sub(lambda found: escaped(found[0]), text) + "\n")
    sys.stdout.flush()


def clean(text: str) -> str:
    """Replaces control characters, so that no text of a model or a tool can steer the terminal."""
    return "".join(character if _harmless(character) else "�" for character in text)


def word(text: str) -> str:
    """Returns a name as one word of a command line that is shown to be typed."""
    return shlex.quote(escaped(text))


def one_line(text: str, length: int) -> str:
    """Returns the start of a text on one line of at most `length` characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= length else line[: max(0, length - 1)] + "…"


def _harmless(character: str) -> bool:
    return character in _KEPT or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co")
