"""Reads the organisation's folders: `*.cedar` rules and an `org.toml` of limits, in force for every agent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from backstay.contracts.budget import BudgetLimits, lowest
from backstay.contracts.problems import Contract
from backstay.errors import ConfigurationError
from backstay.kernel.budget import Limits

from .config import Group
from .toml_file import read_table, read_text


class OrgTable(Contract):
    """The file `org.toml`: approver groups, and budget ceilings for every agent."""

    groups: dict[Group, list[str]] = Field(default_factory=dict[str, list[str]])
    budget: BudgetLimits = BudgetLimits()


@dataclass(frozen=True, slots=True)
class Organisation:
    """The rules, groups and ceilings that hold for every agent.

    Attributes:
        rules: pairs of file name and Cedar text.
        groups: approvers by group name.
    """

    rules: Sequence[tuple[str, str]]
    groups: Mapping[str, tuple[str, ...]]
    ceilings: Limits


def load_organisation(folders: Sequence[Path]) -> Organisation:
    """Reads the folders in order.

    Returns:
        The rules of all folders; a later folder's group replaces an earlier one, and the lowest ceiling holds.

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
        limits = folder / "org.toml"
        table = read_table(limits, OrgTable) if limits.is_file() else OrgTable()
        groups.update({name: tuple(people) for name, people in table.groups.items()})
        ceilings = lowest(ceilings, table.budget.limits())
    return Organisation(rules, groups, ceilings)
