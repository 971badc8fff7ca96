"""Makes the ready-made tools that an agent lists as `std:NAME`, from their tables in agent.toml."""

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backstay.contracts.problems import Contract
from backstay.errors import ConfigurationError
from backstay.kernel.nearest import did_you_mean
from backstay.tools.ready.settings import FilesTable

from ..tool.function import Tool, tool_of
from ..tool.loop import ToolLoop
from ..tool.placed import PlacedTool
from .config import AgentConfig
from .delegating import LISTED, delegate_tool
from .toml_file import line_of, read_text

PREFIX = "std:"


@dataclass(frozen=True, slots=True)
class _Kind:
    """A ready-made tool: the module that makes it, its table, and the least that the table has to say."""

    module: str
    table: str
    least: str


KINDS: Mapping[str, _Kind] = {
    "http_request": _Kind("http", "http_request", 'hosts = ["api.example.com"]'),
    "sql_query": _Kind("sql", "sql_query", 'url = "sqlite:///data/shop.db"'),
    "send_email": _Kind("mail", "send_email", 'smtp = "secret:SMTP_URL"'),
    "ask_human": _Kind("people", "ask_human", 'group = "ops"'),
    "read_file": _Kind("files", "files", 'root = "workspace"'),
    "write_file": _Kind("files", "files", 'root = "workspace"'),
    "list_files": _Kind("files", "files", 'root = "workspace"'),
}

_RUN_CODE = (
    "a sandbox is a product of its own, and Backstay has none: list a tool of an MCP server that runs code in one; "
    "docs/how-to/ready-made-tools.md says more"
)


def ready_tools(folder: Path, config: AgentConfig, loop: ToolLoop) -> dict[str, Tool]:
    """Makes the ready-made tools that an agent lists, by the names in its list; `read_file` is `std:read_file` there.

    Raises:
        ConfigurationError: there is no such tool, or its table is missing or does not fit; names file and line.
    """
    listed = [name for name in config.tools or [] if name.startswith(PREFIX)]
    return {name: _made(folder, name, config, loop) for name in listed}


def check_distinct(folder: Path, listed: Iterable[str], tools: Mapping[str, PlacedTool]) -> None:
    """Checks that no two listed tools have one name for the model and for rules.

    Raises:
        ConfigurationError: two have, such as a function `read_file` of tools.py beside `std:read_file`.
    """
    taken: dict[str, str] = {}
    for name in listed:
        own = tools[name].spec.name
        if taken.setdefault(own, name) != name:
            what = f"`{taken[own]}` and `{name}` are both called `{own}`"
            mend = "rename the function of tools.py, or list one of them"
            raise ConfigurationError(what, where=_where(folder, "tools"), mend=mend)


def _made(folder: Path, listed: str, config: AgentConfig, loop: ToolLoop) -> Tool:
    if listed == LISTED:
        return delegate_tool(folder, config.delegate, loop)
    name = listed.removeprefix(PREFIX)
    kind = KINDS.get(name)
    if kind is None:
        raise ConfigurationError(f"`{listed}` is no ready-made tool", where=_where(folder, "tools"), mend=_meant(name))
    table: Contract | None = getattr(config.std, kind.table)
    if table is None:
        what = f"`{listed}` has no table `[std.{kind.table}]`"
        raise ConfigurationError(what, where=_where(folder, "tools"), mend=f"write it, with `{kind.least}`")
    if isinstance(table, FilesTable):
        _check_root(folder, table)
    module = importlib.import_module(f"backstay.tools.ready.{kind.module}")
    make: Callable[[Any], Callable[..., Any]] = getattr(module, name)
    try:
        made = tool_of(name, make(table), loop)
    except ConfigurationError as error:
        raise ConfigurationError(error.what, where=_where(folder, f"std.{kind.table}"), mend=error.mend) from None
    return replace(made, spec=made.spec.model_copy(update={"ready": True, "asks": name == "ask_human"}))


def _check_root(folder: Path, table: FilesTable) -> None:
    """Checks that no workspace reaches the agent's own files: whoever writes there says what the agent is.

    Raises:
        ConfigurationError: one does.
    """
    root, own = Path(table.root).resolve(), folder.resolve()
    if root == own or root in own.parents or own in root.parents:
        what = "the folder of workspaces and that of the agent lie in one another"
        mend = "name a folder of its own, such as `/var/lib/backstay/files`"
        raise ConfigurationError(what, where=_where(folder, "std.files.root"), mend=mend)


def _meant(name: str) -> str:
    if name == "run_code":
        return _RUN_CODE
    names = [*(f"{PREFIX}{one}" for one in KINDS), LISTED]
    meant = did_you_mean(f"{PREFIX}{name}", names)
    known = ", ".join(f"`{one}`" for one in names)
    return f"{f'{meant} ' if meant else ''}they are {known}"


def _where(folder: Path, key: str) -> str:
    file = folder / "agent.toml"
    line = line_of(read_text(file), key)
    return f"{file}:{line}" if line else str(file)
