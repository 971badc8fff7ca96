"""Lists every setting in force for an agent, and where it came from."""

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from backstay.adapters.agent.folder import Agent
from backstay.adapters.agent.mcp_table import SECRET, McpTable
from backstay.adapters.agent.organisation import Organisation
from backstay.adapters.agent.toml_file import line_of, read_text
from backstay.adapters.model.dialect import dialect_of, host_of, known
from backstay.adapters.model.prices import price_of
from backstay.client.health import masked_url
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
    """Holds one setting.

    Attributes:
        key: the dotted key, as `model.name`.
        value: the value in JSON.
        source: `default`, `file:line` or a variable.
    """

    key: str
    value: Any
    source: str


_OrgTables = Sequence[tuple[Path, str, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class _Sources:
    """Holds everything that settings come from."""

    agent: Agent
    settings: Settings
    org: Organisation
    tables: _OrgTables
    file: Path
    text: str

    def line(self, key: str) -> str:
        """Returns the place of a key in agent.toml, as `file:line`."""
        return f"{self.file}:{line_of(self.text, key) or 1}"


def settings_in_force(agent: Agent, settings: Settings, org: Organisation, folders: Sequence[Path]) -> list[Setting]:
    """Lists all settings of an agent in the order of agent.toml.

    Args:
        agent: the agent.
        settings: the environment.
        org: the organisation's limits and groups.
        folders: where the organisation's org.toml files lie.
    """
    file = agent.folder / "agent.toml"
    sources = _Sources(agent, settings, org, _org_tables(folders), file, read_text(file))
    rest = [
        _own(sources, key, value, written)
        for key, (value, written) in _flat(agent.config)
        if not key.startswith(("budget.", "approval.groups", "model.price", "exposure"))
        and not (key.startswith("std.") and value is None and not written)
    ]
    return [
        *(one for one in rest if not one.key.startswith(("stop.", "approval.", "policy."))),
        _price(sources),
        *_budget(sources),
        *(one for one in rest if one.key.startswith(("stop.", "approval.", "policy."))),
        *_groups(sources),
        *_exposure(sources),
    ]


def _flat(table: BaseModel, prefix: str = "") -> Iterator[tuple[str, tuple[Any, bool]]]:
    """Yields every key with its value, and whether agent.toml sets it."""
    for name, info in type(table).model_fields.items():
        value, key = getattr(table, name), info.alias or name
        if isinstance(value, BaseModel):
            yield from _flat(value, f"{prefix}{key}.")
        elif name == "mcp":
            for server, one in cast("Mapping[str, McpTable]", value).items():
                yield from _flat(one, f"{name}.{server}.")
        else:
            yield f"{prefix}{key}", (_plain(value), name in table.model_fields_set)


def _plain(value: Any) -> Any:
    """Returns a value with its tables as plain objects, those in a list or a table too."""
    if isinstance(value, list):
        return [_plain(one) for one in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in cast("Mapping[str, Any]", value).items()}
    return value.model_dump(exclude_none=True) if isinstance(value, BaseModel) else value


def _own(sources: _Sources, key: str, value: Any, written: bool) -> Setting:
    if key == "approval.notify" and value and not value.startswith("secret:"):
        value = "(set)"  # whoever knows the address may write there
    if key.startswith("mcp."):
        value = _of_server(key.rpartition(".")[2], value)
    if written:
        return Setting(key, value, sources.line(key))
    if key.startswith("model.parameters."):
        return _parameter(sources, key)
    if key == "tools":
        return Setting(key, None, f"{DEFAULT}: every @tool of tools.py")
    if key not in _FROM_ENVIRONMENT:
        return Setting(key, value, DEFAULT)
    field, variable = _FROM_ENVIRONMENT[key]
    if field is None:
        return Setting(key, variable, DEFAULT)
    found = getattr(sources.settings, field)
    return Setting(key, found, variable if os.environ.get(variable) and found is not None else DEFAULT)


def _of_server(key: str, value: Any) -> Any:
    """Returns what people may see of a server: a value may be a secret, where it is no reference to one."""
    if key in ("env", "headers"):
        given = cast("Mapping[str, str]", value)
        return {name: one if SECRET.fullmatch(one) else "(set)" for name, one in given.items()}
    return masked_url(value) if key == "url" and value else value


def _parameter(sources: _Sources, key: str) -> Setting:
    """Returns how the model's server is asked, by its dialect."""
    model, settings = sources.agent.config.model, sources.settings
    host = host_of(model.base_url or settings.openai_base_url)
    api = "chat" if (model.api or settings.model_api) == "chat" else "responses"
    dialect = dialect_of(host, model.name or settings.model, api, model.wire())
    name = known(host) if model.dialect == "auto" else model.dialect
    return Setting(key, getattr(dialect, key.rpartition(".")[2]), f"{DEFAULT}: dialect {name}")


def _price(sources: _Sources) -> Setting:
    model, settings = sources.agent.config.model, sources.settings
    if model.price is not None:
        return Setting("model.price", model.price.given(), sources.line("model.price"))
    name, base_url = model.name or settings.model, model.base_url or settings.openai_base_url
    found = price_of(name, base_url, None, settings.model_price)
    if found is None:
        return Setting("model.price", None, "not known: set `price`, or run without a `usd` budget")
    tier = found.tiers[0]
    rates = {
        "input": format_usd(tier.input),
        "cached_input": format_usd(tier.cached_input),
        "output": format_usd(tier.output),
        **({} if tier.cache_write is None else {"cache_write": format_usd(tier.cache_write)}),
    }
    return Setting("model.price", rates, found.source)


def _budget(sources: _Sources) -> Iterator[Setting]:
    """Yields the limits in force: the lower of the agent's own and the organisation's."""
    own = sources.agent.config.budget
    force = BudgetLimits.of(lowest(own.limits(), sources.org.ceilings))
    for name in DIMENSIONS:
        value = getattr(force, name)
        source = sources.line(f"budget.{name}") if name in own.model_fields_set else DEFAULT
        if value is not None and value != getattr(own, name):
            source = _org_source(sources.tables, ("budget", name), value)
        yield Setting(f"budget.{name}", value, source)
    for tool, limit in sorted(force.tools.items()):
        key = f"budget.tools.{tool}"
        mine = own.tools.get(tool) == limit
        source = sources.line(key) if mine else _org_source(sources.tables, ("budget", "tools"), None)
        yield Setting(key, limit.model_dump(exclude_none=True), source)
    for name in type(own).model_fields:
        if name not in BudgetLimits.model_fields:
            source = sources.line(f"budget.{name}") if name in own.model_fields_set else DEFAULT
            yield Setting(f"budget.{name}", getattr(own, name), source)


def _groups(sources: _Sources) -> Iterator[Setting]:
    for name, people in sources.agent.config.approval.groups.items():
        key = f"approval.groups.{name}"
        yield Setting(key, list(people), sources.line(key))
    for name, people in sorted(sources.org.groups.items()):
        vacant = [f"{file}:{line_of(text, 'vacant') or 1}" for file, text, table in sources.tables if "vacant" in table]
        named = _org_source(sources.tables, ("groups", name), None)
        yield Setting(f"approval.groups.{name}", list(people), vacant[-1] if name in sources.org.vacant else named)


def _exposure(sources: _Sources) -> Iterator[Setting]:
    """Yields the limits of each meter, those of every file: all of them hold."""
    for name, limits in sources.agent.config.exposure.items():
        for key, value in limits.model_dump(exclude_none=True).items():
            source = f"exposure.{name}.{key}"
            yield Setting(source, value, sources.line(source) if key in limits.model_fields_set else DEFAULT)
    for file, text, table in sources.tables:
        for name, limits in cast("Mapping[str, Mapping[str, Any]]", table.get("exposure", {})).items():
            for key, value in limits.items():
                source = f"exposure.{name}.{key}"
                yield Setting(source, value, f"{file}:{line_of(text, source) or 1}")


def _org_tables(folders: Sequence[Path]) -> _OrgTables:
    files = [folder / "org.toml" for folder in folders]
    texts = [(file, read_text(file)) for file in files if file.is_file()]
    return [(file, text, tomllib.loads(text)) for file, text in texts]


def _org_source(tables: _OrgTables, path: tuple[str, str], value: Any) -> str:
    """Names the last org.toml that sets a key, to this very value unless it is None."""
    for file, text, table in reversed(tables):
        section = table.get(path[0])
        found = cast("Mapping[str, Any]", section).get(path[1]) if isinstance(section, Mapping) else None
        if found is not None and (value is None or str(found) == str(value)):
            return f"{file}:{line_of(text, '.'.join(path)) or 1}"
    return "org.toml"
