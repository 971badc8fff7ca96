"""Writes text of models and callers into Markdown, so that none of it comes to life."""

import re
from collections.abc import Iterable
from urllib.parse import quote

from .characters import escaped

_PLAIN = re.compile(
    r"""
    (?!.*(?:://|//|www\.))            # no address
    [^\W\d_]                          # nothing that could open a heading, a list or a quote
    (?:
        [^\W_]                        # letters and digits of any language
      | [ ,;:?!'"()=%/+{}…·]          # what marks nothing up
      | -(?!-)
      | \.(?![^\W\d_])                # no name of a host
      | (?<=[^\W_])_(?=[^\W_])        # inside a word
    )*
    """,
    re.VERBOSE,
)
_TICKS = re.compile("`+")


def inert(text: str) -> str:
    """Returns a text on one line: as it is where nothing in it could be Markdown, else as code."""
    line = _line(text)
    return line if _PLAIN.fullmatch(line) else code(line)


def code(text: str) -> str:
    """Returns a text on one line as a span of code; its fence is longer than any run of backticks inside."""
    line = _line(text) or " "
    fence = "`" * (max(map(len, _TICKS.findall(line)), default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def link(text: str, *path: str) -> str:
    """Returns a link within the Temporal UI; the parts of its path are any texts.

    Args:
        text: what people read.
        path: the parts of the path, each quoted.
    """
    return f"[{inert(text)}](/{'/'.join(quote(part, safe='') for part in path)})"


def block(lines: Iterable[str], language: str = "text") -> list[str]:
    """Returns lines as a block of code, each as it stands; its fence is longer than any run of backticks inside."""
    inside = [escaped(line) for line in lines]
    fence = "`" * max(3, *(len(run) + 1 for line in inside for run in _TICKS.findall(line)), 0)
    return [f"{fence}{language}", *inside, fence]


def _line(text: str) -> str:
    return escaped(" ".join(text.split()))
