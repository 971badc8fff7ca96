"""Reads what a command line wants before it is parsed, and says what is wrong with one. Loads what is quick to load."""

import itertools
import re
from collections.abc import Sequence
from typing import Any, cast

import typer

from backstay.kernel.nearest import did_you_mean

UsageError = cast("type[Exception]", typer.BadParameter.__base__)
"""Typer's class for every mistake on a command line, which has no public name of its own."""

_NO_COMMAND = re.compile(r"no such command '(.*)'", re.DOTALL)
_SHORT = re.compile("-[A-Za-z]*o=?json")
_NEXT = re.compile("-[A-Za-z]*o|--output")


def wants_json(arguments: Sequence[str]) -> bool:
    """Tells whether a command line asks for JSON, which then holds its errors too, also where it cannot be parsed."""
    words = list(arguments)
    words = words[: words.index("--")] if "--" in words else words
    if any(word == "--output=json" or _SHORT.fullmatch(word) for word in words):
        return True
    return any(word == "json" and _NEXT.fullmatch(before) for before, word in itertools.pairwise(words))


def is_help(error: Exception) -> bool:
    """Tells whether the mistake is that nothing was typed, where the help is the answer."""
    return _message(error).startswith("Usage:")


def in_three(error: Exception) -> tuple[str, str, str]:
    """Says of a mistake on the command line what is wrong, why, and what to do."""
    context: Any = getattr(error, "ctx", None)
    path = context.command_path if context else "backstay"
    why = context.get_usage() if context else "the command line cannot be read"
    what = _message(error, whole=not getattr(error, "possibilities", None))
    meant = _meant(error, context.command) if context else None
    do = f"`{path} --help` shows what there is"
    return what, " ".join(why.split()), f"{meant} {do}" if meant else do


def _meant(error: Exception, command: Any) -> str | None:
    """Returns the question that names the command or option which was probably meant; None where none is near."""
    if option := getattr(error, "option_name", None):
        return did_you_mean(option, [name for one in command.params for name in (*one.opts, *one.secondary_opts)])
    found = _NO_COMMAND.fullmatch(_message(error))  # typer itself names a command that differs in few letters
    return did_you_mean(found[1], getattr(command, "commands", ())) if found else None


def _message(error: Exception, whole: bool = True) -> str:
    found: Any = error
    text = str(found.format_message() if whole else found.message)
    text = text.replace("Value error, ", "")
    return text[:1].lower() + text[1:].rstrip(".") if not text.startswith("Usage:") else text
