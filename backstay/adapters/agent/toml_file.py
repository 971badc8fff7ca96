"""Reads a TOML file into a model, with errors that name the line."""

import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from backstay.contracts.problems import NO_OBJECT, UNKNOWN, Contract, Problem, fields_at, problems_of
from backstay.errors import ConfigurationError
from backstay.kernel.nearest import did_you_mean

Table = TypeVar("Table", bound=Contract)

_SETTING = re.compile(r"(?P<file>.*agent\.toml)(?: \[(?P<table>\w+)\] (?P<key>.+))?")


def read_text(file: Path) -> str:
    """Reads a file as UTF-8 text.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot be read: {error}", where=str(file)) from None


def read_table(file: Path, table: type[Table]) -> Table:
    """Reads a file into a model.

    Raises:
        ConfigurationError: the file cannot be read, is not TOML, or a key does not fit; names the line where known.
    """
    text = read_text(file)
    try:
        return table.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"no valid TOML: {error}", where=_place(file, error, text)) from None
    except ValidationError as error:
        problem = problems_of(error)[0]
        line = line_of(text, problem.field)
        mend = _mend(table, problem)
        if problem.problem == NO_OBJECT:
            problem = Problem(field=problem.field, problem="expected a table")
        raise ConfigurationError(str(problem), where=f"{file}:{line}" if line else str(file), mend=mend) from None


def line_of(text: str, field: str) -> int | None:
    """Finds the line of a dotted key.

    Returns:
        The line, counted from 1, of the key or of the nearest table or key above it, of which only a table within may
        be written; None where the text has neither.
    """
    parts = field.split(".")
    for depth in range(len(parts), 0, -1):
        wanted, table, key = ".".join(parts[:depth]), ".".join(parts[: depth - 1]), parts[depth - 1]
        current, before, within = "", Counter[str](), None
        for number, line in enumerate(text.splitlines(), 1):
            if header := re.match(r"\s*(\[+)([^\]]+)\]+", line):
                name = header[2].strip().replace('"', "")
                current = f"{name}.{before[name]}" if header[1] == "[[" else name
                before[name] += 1
                if current == wanted:
                    return number
                if within is None and current.startswith(f"{wanted}."):
                    within = number
            elif current == table and re.match(rf'\s*"?{re.escape(key)}"?\s*=', line):
                return number
        if within is not None:
            return within
    return None


def place_of(file: Path, key: str) -> str:
    """Returns `file:line` of a dotted key, or the file alone where it does not have it."""
    line = line_of(read_text(file), key)
    return f"{file}:{line}" if line else str(file)


def with_line(where: str) -> str:
    """Returns `file:line` of a setting that rules name as `agent.toml [TABLE] KEY`; other places as they are."""
    match = _SETTING.fullmatch(where)
    if match is None or not Path(match["file"]).is_file():
        return where
    key = f"{match['table']}.{match['key']}" if match["key"] else "policy.permit"
    return f"{match['file']}:{line_of(read_text(Path(match['file'])), key) or 1}"


def _place(file: Path, error: tomllib.TOMLDecodeError, text: str) -> str:
    """Returns `file:line` of a mistake in the syntax, which the error tells in its words only."""
    found = re.search(r"\(at line (\d+),", str(error))
    return f"{file}:{found[1] if found else len(text.splitlines())}"


def _mend(table: type[Contract], problem: Problem) -> str | None:
    """Says which key was probably meant where one is mistyped, and which are known there or in a table."""
    location = problem.field.split(".")
    if problem.problem == NO_OBJECT:
        keys = fields_at(table, [*location, ""])
        return f"its keys are {_listed(keys)}: `{location[-1]} = {{ {keys[0]} = ... }}`" if keys else None
    known = fields_at(table, location)
    if problem.problem != UNKNOWN or not known:
        return None
    listed = f"known keys are {_listed(known)}"
    meant = did_you_mean(location[-1], known)
    return f"{meant} {listed}" if meant else listed


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(f"`{key}`" for key in keys)
