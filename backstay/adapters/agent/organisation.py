"""Reads the organisation's folders: `*.cedar` rules and an `org.toml` of limits, in force for every agent."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from backstay.contracts.budget import BudgetLimits, lowest
from backstay.contracts.exposure import ExposureLimits, MeterName
from backstay.contracts.person import People
from backstay.contracts.problems import Contract
from backstay.errors import ConfigurationError
from backstay.kernel.approval import quorum_of
from backstay.kernel.breaker import RUNAWAY_SPEND, Breaker
from backstay.kernel.budget import Limits
from backstay.kernel.origins import DOCUMENT
from backstay.kernel.person import people_keys
from backstay.kernel.registers import Register

from .breakers import BreakerTable, rules_of
from .config import Group
from .limits import NO_LIMITS, LimitsTable, OrgLimits
from .registers import Registers, load_registers
from .toml_file import read_table, read_text


def _several(value: object) -> object:
    if isinstance(value, dict):
        raise ValueError("each breaker is a table of its own: write `[[breakers]]`, with two brackets")
    return value


class OpenSources(Contract):
    """The table `[sources]` of org.toml.

    Attributes:
        open: the sources that agents may accept beyond the trusted ones: `document` (for tools that only read),
            `config:*` (registers of the agent's own), or `tool:NAME.FIELD`; default: `document`.
    """

    open: list[str] | None = None


class OrgTable(Contract):
    """The file `org.toml`: approver groups, those that nobody is in yet, limits for every agent, and breakers.

    Attributes:
        vacant: groups that rules may ask and that nobody is in yet; what needs them is denied.
        groups: the people of each group.
        limits: what all runs together may spend by day and month, and how many may run at once.
        exposure: limits of what calls mean, by meter.
        breakers: what stops a part of the fleet by itself.
        registers: known values by the name of their register: a list, or a file beside this one.
    """

    vacant: list[Group] = Field(default_factory=list[str])
    groups: dict[Group, People] = Field(default_factory=dict[str, list[str]])
    budget: BudgetLimits = BudgetLimits()
    limits: LimitsTable = LimitsTable()
    exposure: dict[MeterName, ExposureLimits] = Field(default_factory=dict[str, ExposureLimits])
    breakers: Annotated[list[BreakerTable], BeforeValidator(_several)] = Field(default_factory=list[BreakerTable])
    registers: Registers = Field(default_factory=dict[str, str | list[str]])
    sources: OpenSources = OpenSources()

    @field_validator("breakers")
    @classmethod
    def _named_once(cls, tables: list[BreakerTable]) -> list[BreakerTable]:
        names = [table.name for table in tables if table.name]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two breakers have the name `{twice}`")
        return tables


OPEN = frozenset({DOCUMENT})


@dataclass(frozen=True, slots=True)
class Organisation:
    """The rules, groups and ceilings that hold for every agent.

    Attributes:
        rules: pairs of file name and Cedar text.
        groups: approvers by group name.
        vacant: the groups that nobody is in yet, which stand empty in `groups`.
        limits: what runs may spend together.
        exposure: the limits of each meter, from every folder that has some.
        breakers: the rules by which a part of the fleet is stopped by itself.
        registers: known values that hold for every agent.
        open: the sources that agents may accept beyond the trusted ones.
    """

    rules: Sequence[tuple[str, str]]
    groups: Mapping[str, tuple[str, ...]]
    ceilings: Limits
    vacant: frozenset[str] = frozenset()
    limits: OrgLimits = NO_LIMITS
    exposure: Mapping[str, Sequence[ExposureLimits]] = field(default_factory=dict[str, Sequence[ExposureLimits]])
    breakers: tuple[Breaker, ...] = (RUNAWAY_SPEND,)
    registers: tuple[Register, ...] = ()
    open: frozenset[str] = OPEN


def load_organisation(folders: Sequence[Path]) -> Organisation:
    """Reads the folders in order.

    Returns:
        The rules of all folders; a later folder's group replaces an earlier one, the lowest ceiling holds, and so do
        the limits that all folders have for a meter. A later breaker or register replaces an earlier one of its name.

    Raises:
        ConfigurationError: a folder is missing, a file cannot be read, or a group that is asked has too few members.
    """
    rules: list[tuple[str, str]] = []
    groups: dict[str, tuple[str, ...]] = {}
    vacant: set[str] = set()
    ceilings, allowed = Limits(), NO_LIMITS
    exposure: dict[str, list[ExposureLimits]] = {}
    breakers: list[list[BreakerTable]] = []
    registers: dict[str, Register] = {}
    opened = OPEN
    for folder in folders:
        if not folder.is_dir():
            raise ConfigurationError("no such folder of policies", where=str(folder), mend="see `BACKSTAY_POLICIES`")
        for file in sorted(folder.glob("*.cedar")):
            rules.append((str(file), read_text(file)))
        limits = folder / "org.toml"
        table = read_table(limits, OrgTable) if limits.is_file() else OrgTable()
        vacant = (vacant | (set(table.vacant) - set(groups))) - set(table.groups)
        groups.update(dict.fromkeys(vacant, ()))
        groups.update({name: tuple(people) for name, people in table.groups.items()})
        ceilings = lowest(ceilings, table.budget.limits())
        allowed = allowed.with_table(table.limits)
        breakers.append(table.breakers)
        registers.update({one.name: one for one in load_registers(table.registers, limits, org=True)})
        opened = opened if table.sources.open is None else frozenset(table.sources.open)
        for name, meter in table.exposure.items():
            exposure.setdefault(name, []).append(meter)
    for name, meters in exposure.items():
        for meter in meters:
            check_asks(name, meter, groups, "org.toml", vacant)
    return Organisation(
        rules,
        groups,
        ceilings,
        frozenset(vacant),
        allowed,
        exposure,
        rules_of(breakers),
        tuple(registers.values()),
        opened,
    )


def check_asks(
    name: str,
    limits: ExposureLimits,
    groups: Mapping[str, Sequence[str]],
    where: str,
    vacant: Collection[str] = (),
) -> None:
    """Checks that the people who may let a meter above its limit are there.

    Args:
        name: the meter's name.
        limits: its limits.
        groups: the members of each group.
        where: the file with the limits, for errors.
        vacant: the groups that nobody need be in: nothing goes above their limits.

    Raises:
        ConfigurationError: the group has too few members.
    """
    asked = quorum_of(limits.asks) if limits.asks else None
    if asked is None or asked.group in vacant:
        return
    members = len(people_keys(groups.get(asked.group, ())))
    if members < asked.count:
        what = f"`exposure.{name}.on_exceed` asks {asked.count} of the group `{asked.group}`, which has {members}"
        mend = f"name its people: `{asked.group} = [...]`, in org.toml under `[groups]`, else under `[approval] groups`"
        raise ConfigurationError(what, where=where, mend=mend)
