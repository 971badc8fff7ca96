"""Finds where each rule of a Cedar text begins, because Cedar's own messages and trees name no lines."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\r\n]*|\s+|.', re.DOTALL)
_WORDS = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\r\n]*', re.DOTALL)
_OPERATOR = re.compile(r"&&|\|\||[-+*!.\[{]|\bif\b")
DEEPEST = 200
LONGEST = 500


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A file of rules: its name as messages show it, and its text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Piece:
    """The text of one rule, and the line it begins on, counted from 1."""

    text: str
    line: int


def pieces(text: str) -> Iterator[Piece]:
    """Yields the rules of a text, each up to its `;`; a rest without one is yielded too, and no valid rule."""
    begin: int | None = None
    for token in _TOKEN.finditer(text):
        word = token.group()
        if word.isspace() or word.startswith("//"):
            continue
        if begin is None:
            begin = token.start()
        if word == ";":
            yield _piece(text, begin, token.end())
            begin = None
    if begin is not None:
        yield _piece(text, begin, len(text))


def is_too_deep(text: str) -> bool:
    """Tells whether a text could overflow the stack of Cedar's parser, which would end the process."""
    bare = _WORDS.sub("", text)
    deepest = depth = 0
    for character in bare:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest > DEEPEST or len(_OPERATOR.findall(bare)) > LONGEST


def _piece(text: str, begin: int, end: int) -> Piece:
    return Piece(text[begin:end], text.count("\n", 0, begin) + 1)
