"""Reads a TOML file into a model, with errors that name the line."""

import re
import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from backstay.contracts.problems import Contract, problems_of
from backstay.errors import ConfigurationError

Table = TypeVar("Table", bound=Contract)


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
        raise ConfigurationError(f"no valid TOML: {error}", where=str(file)) from None
    except ValidationError as error:
        problem = problems_of(error)[0]
        line = line_of(text, problem.field)
        known = ", ".join(f"`{key}`" for key in _known_keys(table, problem.field))
        mend = f"known keys are {known}" if problem.problem == "unknown field" and known else None
        raise ConfigurationError(str(problem), where=f"{file}:{line}" if line else str(file), mend=mend) from None


def line_of(text: str, field: str) -> int | None:
    """Finds the line of a dotted key.

    Returns:
        The line, counted from 1, of the key or of the nearest table or key above it; None where the text has neither.
    """
    parts = field.split(".")
    for depth in range(len(parts), 0, -1):
        table, key = ".".join(parts[: depth - 1]), parts[depth - 1]
        current = ""
        for number, line in enumerate(text.splitlines(), 1):
            if header := re.match(r"\s*\[+([^\]]+)\]+", line):
                current = header[1].strip().replace('"', "")
                if current == ".".join(parts[:depth]):
                    return number
            elif current == table and re.match(rf'\s*"?{re.escape(key)}"?\s*=', line):
                return number
    return None


def _known_keys(table: type[Contract], field: str) -> list[str]:
    for part in field.split(".")[:-1]:
        inner = table.model_fields[part].annotation if part in table.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, Contract)):
            return []
        table = inner
    return list(table.model_fields)
