"""The organisation's rules and limits: folders of `*.cedar` files and an `org.toml`, in force for every agent."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from backstay.contracts.budget import BudgetLimits, lowest
from backstay.contracts.problems import Contract, problems_of
from backstay.errors import ConfigurationError
from backstay.kernel.budget import Limits

from .config import Group, line_of


class OrgTable(Contract):
    """The file `org.toml`: approver groups, and budget ceilings that no agent exceeds."""

    groups: dict[Group, list[str]] = Field(default_factory=dict[str, list[str]])
    budget: BudgetLimits = BudgetLimits()


@dataclass(frozen=True, slots=True)
class Organisation:
    """What holds for every agent; `rules` are file names with their Cedar text."""

    rules: Sequence[tuple[str, str]]
    groups: Mapping[str, tuple[str, ...]]
    ceilings: Limits


def load_organisation(folders: Sequence[Path]) -> Organisation:
    """Reads the folders in their order: the later one's groups replace the earlier one's, the lower ceiling holds.

    Raises:
        ConfigurationError: a folder is missing, or a file cannot be read.
    """
    rules: list[tuple[str, str]] = []
    groups: dict[str, tuple[str, ...]] = {}
    ceilings = Limits()
    for folder in folders:
        if not folder.is_dir():
            raise ConfigurationError("no such folder of policies", where=str(folder), mend="see `BACKSTAY_POLICIES`")
        for file in sorted(folder.glob("*.cedar")):
            rules.append((str(file), read_text(file)))
        table = _table(folder / "org.toml")
        groups.update({name: tuple(people) for name, people in table.groups.items()})
        ceilings = lowest(ceilings, table.budget.limits())
    return Organisation(rules, groups, ceilings)


def read_text(file: Path) -> str:
    """A file's text.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot be read: {error}", where=str(file)) from None


def _table(file: Path) -> OrgTable:
    if not file.is_file():
        return OrgTable()
    text = read_text(file)
    try:
        return OrgTable.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"no valid TOML: {error}", where=str(file)) from None
    except ValidationError as error:
        problem = problems_of(error)[0]
        raise ConfigurationError(str(problem), where=f"{file}:{line_of(text, problem.field) or 1}") from None
