"""Makes the tools of MCP servers that an agent lists: finds them, and puts together what agent.toml says of each."""

import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from backstay.contracts.admission import Effect, ToolSpec
from backstay.errors import ConfigurationError
from backstay.extras import require
from backstay.kernel.marks import Marks, Roles
from backstay.kernel.mcp_effect import effect_of
from backstay.kernel.mcp_names import PREFIX, function_names, split_name, tool_name
from backstay.kernel.mcp_pins import ListedTool, Listing
from backstay.kernel.nearest import did_you_mean
from backstay.kernel.origins import ROLES, UNTRUSTED
from backstay.kernel.tool_patterns import all_fitting, fits, idle, is_pattern
from backstay.tools.declare import Fields, marks_of, seconds

from .config import AgentConfig
from .mcp_table import McpTable
from .toml_file import line_of, read_text

if TYPE_CHECKING:
    # What speaks with servers takes seconds to import: only agents that name one pay for it.
    from ..mcp.server import ReadSecret
    from ..mcp.servers import Servers
    from ..mcp.tool import McpTool

_LOG = logging.getLogger("backstay.mcp")


@dataclass(frozen=True, slots=True)
class McpTools:
    """The tools of an agent's servers.

    Attributes:
        tools: by name.
        servers: the servers; None where the agent names none.
        warnings: what somebody should look at, a sentence each.
    """

    tools: Mapping[str, "McpTool"] = field(default_factory=dict[str, "McpTool"])
    servers: "Servers | None" = None
    warnings: Sequence[str] = ()


NO_SERVERS = McpTools()


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A tool that the agent lists, and the table of its server."""

    server: str
    table: McpTable
    listed: ListedTool


def mcp_tools(folder: Path, config: AgentConfig, taken: Collection[str], read: "ReadSecret") -> McpTools:
    """Asks the servers of an agent for their tools, and makes those that it lists.

    Args:
        folder: the agent's folder.
        config: its `agent.toml`.
        taken: the names of its other tools.
        read: reads the secrets that servers are given.

    Raises:
        ConfigurationError: a server cannot be reached, or has no such tool; or what is said of tools does not fit.
    """
    file = folder / "agent.toml"
    wanted = _wanted(config, file)
    if not wanted:
        return NO_SERVERS
    servers = servers_of(config.mcp)
    listings: dict[str, Listing] = {}
    for name, found in servers.list(read).items():
        if isinstance(found, ConfigurationError):
            mend = f"`backstay mcp check {name}` says more"
            raise ConfigurationError(found.what, where=_place(file, f"mcp.{name}"), mend=mend)
        listings[name] = found
    return _made(file, config, wanted, listings, taken, servers)


def servers_of(tables: Mapping[str, McpTable]) -> "Servers":
    """Returns the servers that tables of agent.toml describe, none of them connected.

    Raises:
        MissingExtraError: what speaks with servers is not installed.
    """
    require("mcp")
    from ..mcp.server import Server
    from ..mcp.servers import Servers

    return Servers(
        Server(
            name,
            tuple(table.command or ()),
            table.url or "",
            table.env,
            table.headers,
            table.scope,
            table.era,
            asks=table.questions is not None,
        )
        for name, table in tables.items()
    )


def listed_names(names: Sequence[str], tools: Collection[str]) -> list[str]:
    """Returns the tools that a list of names and patterns means, each once, in the order of the list."""
    found: dict[str, None] = {}
    for name in names:
        pattern = split_name(name) is not None and is_pattern(name)
        found |= dict.fromkeys(tool for tool in tools if fits(name, tool)) if pattern else {name: None}
    return list(found)


def _wanted(config: AgentConfig, file: Path) -> list[tuple[str, str]]:
    """Returns the server and the pattern of each name in `tools` that means tools of a server."""
    wanted: list[tuple[str, str]] = []
    for name in config.tools or ():
        if not name.startswith(PREFIX):
            continue
        parts = split_name(name)
        if parts is None:
            mend = f"write `{name.rstrip('/')}/TOOL`, or `{name.rstrip('/')}/*` for all of them"
            raise ConfigurationError(f"`{name}` names no tool of a server", where=_place(file, "tools"), mend=mend)
        if parts[0] not in config.mcp:
            meant = did_you_mean(parts[0], config.mcp)
            mend = meant or f"say how it is reached: a table `[mcp.{parts[0]}]` with a `command` or a `url`"
            what = f"`{name}`: there is no server `{parts[0]}`"
            raise ConfigurationError(what, where=_place(file, "tools"), mend=mend)
        wanted.append(parts)
    for server in config.mcp:
        if all(name != server for name, _ in wanted):
            what, mend = f"no tool of the server `{server}` is listed", f'add "{PREFIX}{server}/*" to `tools`'
            raise ConfigurationError(what, where=_place(file, f"mcp.{server}"), mend=mend)
    return wanted


def _made(
    file: Path,
    config: AgentConfig,
    wanted: Sequence[tuple[str, str]],
    listings: Mapping[str, Listing],
    taken: Collection[str],
    servers: "Servers",
) -> McpTools:
    from ..mcp.arguments import Checker, UncheckableError
    from ..mcp.tool import McpTool

    tools: dict[str, McpTool] = {}
    warnings: list[str] = []
    chosen = _chosen(file, config, wanted, listings, warnings)
    functions = function_names(list(chosen), taken)
    for name, one in chosen.items():
        where = _place(file, f"mcp.{one.server}")
        try:
            arguments = Checker(one.listed.schema)
        except UncheckableError as error:
            if (one.server, one.listed.name) in wanted:
                raise ConfigurationError(f"`{name}` cannot be used: {error}", where=where) from None
            warnings.append(f"`{name}` is left out: {error}")
            continue
        output = None
        try:
            output = None if one.listed.output_schema is None else Checker(one.listed.output_schema)
        except UncheckableError as error:
            warnings.append(f"the results of `{name}` are not checked: {error}")
        judged = effect_of(one.table.effect, one.listed.name, one.listed.hints)
        if judged.warning:
            warnings.append(f"`{name}` is taken for `once`: {judged.warning}")
        spec = _spec(name, functions[name], judged.effect, one, where)
        pool = servers.pools[one.server]
        tools[name] = McpTool(spec, where, one.table.secrets(), one.listed.name, arguments, output, pool, servers.loop)
    for warning in warnings:
        _LOG.warning("%s: %s", file, warning)
    return McpTools(tools, servers, warnings)


def _chosen(
    file: Path,
    config: AgentConfig,
    wanted: Sequence[tuple[str, str]],
    listings: Mapping[str, Listing],
    warnings: list[str],
) -> dict[str, _Chosen]:
    """Returns the tools that are listed by name or by pattern, each once."""
    chosen: dict[str, _Chosen] = {}
    for server, pattern in wanted:
        listing, table = listings[server], config.mcp[server]
        found = [tool for own, tool in listing.tools.items() if fits(pattern, own)]
        refused = {own: why for own, why in listing.refused.items() if fits(pattern, own)}
        if not is_pattern(pattern):
            _check_there(file, server, pattern, listing)
        elif not found:
            what = f"no tool of the server `{server}` fits `{pattern}`"
            mend = f"`backstay mcp list {server}` shows its tools"
            raise ConfigurationError(what, where=_place(file, "tools"), mend=mend)
        warnings += [f"`{tool_name(server, own)!a}` is left out: {why}" for own, why in refused.items()]
        chosen |= {tool_name(server, tool.name): _Chosen(server, table, tool) for tool in found}
    for server, table in config.mcp.items():
        own = [one.listed.name for one in chosen.values() if one.server == server]
        for key, patterns in (("clean", table.clean), ("labels", table.labels), ("roles", table.roles)):
            for pattern in idle(patterns, own):
                what = f"`{pattern}` in `mcp.{server}.{key}` fits no tool that is listed"
                raise ConfigurationError(what, where=_place(file, f"mcp.{server}.{key}"), mend="is it misspelt?")
    return chosen


def _check_there(file: Path, server: str, tool: str, listing: Listing) -> None:
    name = tool_name(server, tool)
    if (why := listing.refused.get(tool)) is not None:
        raise ConfigurationError(f"`{name}` cannot be used: {why}", where=_place(file, "tools"), mend="leave it out")
    if tool not in listing.tools:
        meant = did_you_mean(tool, listing.tools) or f"`backstay mcp list {server}` shows its tools"
        raise ConfigurationError(f"the server `{server}` has no tool `{tool}`", where=_place(file, "tools"), mend=meant)


def _spec(name: str, function: str, effect: Effect, one: _Chosen, where: str) -> ToolSpec:
    digest = hashlib.sha256(f"{name}\n{effect}\n{one.listed.digest}".encode()).hexdigest()
    return ToolSpec(
        name=name,
        description=one.listed.description,
        parameters=one.listed.parameters,
        digest=f"sha256:{digest}",
        effect=effect,
        timeout=seconds(one.table.timeout),
        untrusted=not one.table.trusted,
        groups=[f"{PREFIX}{one.server}"],
        marks=_marks(one.table, one.listed.name, where),
        roles=_roles(one, where),
        function=function,
        answered_by=one.table.questions,
    )


def _marks(table: McpTable, tool: str, where: str) -> Marks:
    labels: dict[str, Fields] = {}
    for given in all_fitting(table.labels, tool):
        labels |= given
    clean = [field for fields in all_fitting(table.clean, tool) for field in fields]
    try:
        return marks_of({**labels, UNTRUSTED: not table.trusted}, clean, (), None, None)
    except ConfigurationError as error:
        raise ConfigurationError(error.what, where=where, mend=error.mend) from None


def _roles(one: _Chosen, where: str) -> Roles:
    """Returns the roles of a tool's arguments, from all patterns that it fits."""
    given = [table.roles() for table in all_fitting(one.table.roles, one.listed.name)]
    roles = Roles(*(tuple(dict.fromkeys(name for each in given for name in each.of(role))) for role in _ORDER))
    known: Mapping[str, object] = one.listed.parameters["properties"]
    taken: dict[str, str] = {}
    for role in ROLES:
        for argument in roles.of(role):
            if argument not in known:
                mend = did_you_mean(argument, known) or f"its arguments are {', '.join(map('`{}`'.format, known))}"
                raise ConfigurationError(
                    f"`{role}` of `{one.listed.name}` names `{argument}`, which it lacks", where=where, mend=mend
                )
            if taken.setdefault(argument, role) != role:
                what = f"`{argument}` of `{one.listed.name}` stands in `{taken[argument]}` and `{role}`"
                raise ConfigurationError(what, where=where, mend="an argument has one role: the stricter one")
    return roles


_ORDER = ("targets", "items", "texts")


def _place(file: Path, key: str) -> str:
    line = line_of(read_text(file), key)
    return f"{file}:{line}" if line else str(file)
