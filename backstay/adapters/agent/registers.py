"""Reads registers of known values: lists in TOML, or files beside it."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from backstay.errors import ConfigurationError
from backstay.kernel.registers import Register, register_of

from .toml_file import line_of, read_text

RegisterName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
Registers = dict[RegisterName, str | list[str]]
"""The values of each register, or the name of a file: text with a value on each line, or CSV with one in each cell."""


def load_registers(table: Mapping[str, str | list[str]], file: Path, *, org: bool = False) -> list[Register]:
    """Reads the registers that a file names.

    Args:
        table: its table `[registers]`.
        file: the file; others are looked for in its folder.
        org: the registers are the organisation's.

    Raises:
        ConfigurationError: a file cannot be read, or a value cannot be known again.
    """
    found: list[Register] = []
    for name, values in table.items():
        place = file.parent / values if isinstance(values, str) else file
        entries = _values(place) if isinstance(values, str) else values
        try:
            found.append(register_of(name, entries, org=org))
        except ValueError as error:
            line = line_of(read_text(file), f"registers.{name}")
            where = str(place) if place != file or line is None else f"{file}:{line}"
            raise ConfigurationError(str(error), where=where, mend="write values, or domains as `@acme.com`") from None
    return found


def _values(file: Path) -> list[str]:
    """Returns the values of a file, without empty ones and lines that begin with `#`."""
    lines = [line for line in read_text(file).splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if file.suffix.lower() != ".csv":
        return lines
    return [cell for row in csv.reader(lines) for cell in row if cell.strip()]
