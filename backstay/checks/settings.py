"""Every setting in force for an agent, and where it came from."""

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from backstay.adapters.agent.folder import Agent
from backstay.adapters.agent.organisation import Organisation
from backstay.adapters.agent.toml_file import line_of, read_text
from backstay.adapters.model.prices import price_of
from backstay.contracts.budget import DIMENSIONS, BudgetLimits, lowest
from backstay.kernel.money import format_usd
from backstay.settings import Settings

DEFAULT = "default"
_FROM_ENVIRONMENT = {
    "model.name": ("model", "BACKSTAY_MODEL"),
    "model.api": ("model_api", "BACKSTAY_MODEL_API"),
    "model.base_url": ("openai_base_url", "OPENAI_BASE_URL"),
    "model.api_key_env": (None, "OPENAI_API_KEY"),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its dotted key, its value in JSON, and where it came from: `default`, `file:line` or a variable."""

    key: str
    value: Any
    source: str


def settings_in_force(agent: Agent, settings: Settings, org: Organisation, folders: Sequence[Path]) -> list[Setting]:
    """All settings of an agent, in the order of agent.toml; `folders` hold the organisation's org.toml files."""
    file = agent.folder / "agent.toml"
    text = read_text(file)
    flat = dict(_flat(agent.config))
    rest = [
        _own(key, value, written, file, text, settings)
        for key, (value, written) in flat.items()
        if not key.startswith(("budget.", "approval.groups", "model.price"))
    ]
    tables = _org_tables(folders)
    return [
        *(one for one in rest if not one.key.startswith(("stop.", "approval.", "policy."))),
        _price(agent, settings, file, text),
        *_budget(agent, org, file, text, tables),
        *(one for one in rest if one.key.startswith(("stop.", "approval.", "policy."))),
        *_groups(agent, org, file, text, tables),
    ]


def _flat(table: BaseModel, prefix: str = "") -> Iterator[tuple[str, tuple[Any, bool]]]:
    """Every key with its value, and whether somebody wrote it."""
    for name in type(table).model_fields:
        value = getattr(table, name)
        if isinstance(value, BaseModel):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", (value, name in table.model_fields_set)


def _own(key: str, value: Any, written: bool, file: Path, text: str, settings: Settings) -> Setting:
    if written:
        return Setting(key, value, f"{file}:{line_of(text, key) or 1}")
    if key == "tools":
        return Setting(key, None, f"{DEFAULT}: every @tool of tools.py")
    if key not in _FROM_ENVIRONMENT:
        return Setting(key, value, DEFAULT)
    field, variable = _FROM_ENVIRONMENT[key]
    if field is None:
        return Setting(key, variable, DEFAULT)
    found = getattr(settings, field)
    return Setting(key, found, variable if os.environ.get(variable) and found is not None else DEFAULT)


def _price(agent: Agent, settings: Settings, file: Path, text: str) -> Setting:
    model = agent.config.model
    if model.price is not None:
        return Setting("model.price", model.price.given(), f"{file}:{line_of(text, 'model.price') or 1}")
    if settings.model_price is not None:
        return Setting("model.price", settings.model_price, "BACKSTAY_MODEL_PRICE")
    found = price_of(model.name or settings.model, model.base_url or settings.openai_base_url, None)
    if found is None:
        return Setting("model.price", None, "nobody knows it: set `price`, or run without a `usd` budget")
    tier = found.tiers[0]
    rates = {
        "input": format_usd(tier.input),
        "cached_input": format_usd(tier.cached_input),
        "output": format_usd(tier.output),
    }
    return Setting("model.price", rates, found.source)


def _budget(agent: Agent, org: Organisation, file: Path, text: str, tables: "_OrgTables") -> Iterator[Setting]:
    """The lower of the agent's own limits and the organisation's."""
    own = agent.config.budget
    force = BudgetLimits.of(lowest(own.limits(), org.ceilings))
    for name in DIMENSIONS:
        value = getattr(force, name)
        written = name in own.model_fields_set
        source = f"{file}:{line_of(text, f'budget.{name}') or 1}" if written else DEFAULT
        if value is not None and value != getattr(own, name):
            source = _org_source(tables, ("budget", name), value)
        yield Setting(f"budget.{name}", value, source)
    for tool, limit in sorted(force.tools.items()):
        key = f"budget.tools.{tool}"
        mine = own.tools.get(tool)
        source = (
            f"{file}:{line_of(text, key) or 1}" if mine == limit else _org_source(tables, ("budget", "tools"), None)
        )
        yield Setting(key, limit.model_dump(exclude_none=True), source)
    exclude = "seconds_exclude_approvals"
    source = f"{file}:{line_of(text, f'budget.{exclude}') or 1}" if exclude in own.model_fields_set else DEFAULT
    yield Setting(f"budget.{exclude}", own.seconds_exclude_approvals, source)


def _groups(agent: Agent, org: Organisation, file: Path, text: str, tables: "_OrgTables") -> Iterator[Setting]:
    for name, people in agent.config.approval.groups.items():
        key = f"approval.groups.{name}"
        yield Setting(key, list(people), f"{file}:{line_of(text, key) or 1}")
    for name, people in sorted(org.groups.items()):
        yield Setting(f"approval.groups.{name}", list(people), _org_source(tables, ("groups", name), None))


_OrgTables = Sequence[tuple[Path, str, Mapping[str, Any]]]


def _org_tables(folders: Sequence[Path]) -> _OrgTables:
    files = [folder / "org.toml" for folder in folders]
    texts = [(file, read_text(file)) for file in files if file.is_file()]
    return [(file, text, tomllib.loads(text)) for file, text in texts]


def _org_source(tables: _OrgTables, path: tuple[str, str], value: Any) -> str:
    """The org.toml that a value comes from: the last one that has it, and that very value where one is given."""
    for file, text, table in reversed(tables):
        section = table.get(path[0])
        found = cast("Mapping[str, Any]", section).get(path[1]) if isinstance(section, Mapping) else None
        if found is not None and (value is None or str(found) == str(value)):
            return f"{file}:{line_of(text, '.'.join(path)) or 1}"
    return "org.toml"
