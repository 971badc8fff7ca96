"""Judges the MCP servers of agents: what they list, what of it is used, what has changed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backstay.adapters.agent.config import AgentConfig, read_config
from backstay.adapters.agent.mcp_table import McpTable
from backstay.adapters.agent.mcp_tools import servers_of
from backstay.adapters.mcp.kept_pins import kept_about, kept_pins
from backstay.adapters.secret.store import Secrets
from backstay.app import folders
from backstay.errors import ConfigurationError
from backstay.kernel.mcp_effect import Judged, effect_of
from backstay.kernel.mcp_names import tool_name
from backstay.kernel.mcp_pins import Changes, Listing, changes
from backstay.kernel.nearest import did_you_mean
from backstay.kernel.tool_patterns import fits
from backstay.settings import Settings

_FLOATING = re.compile(r"(?:@[^/@]+/)?[^@=]+")
_RUNNERS = ("npx", "bunx", "pnpx", "uvx")


@dataclass(frozen=True, slots=True)
class NamedServer:
    """A server as an agent names it."""

    agent: str
    name: str
    config: AgentConfig

    @property
    def table(self) -> McpTable:
        """Its table in agent.toml."""
        return self.config.mcp[self.name]

    def lists(self, tool: str) -> bool:
        """Tells whether the agent lists a tool of it."""
        return any(fits(pattern, tool_name(self.name, tool)) for pattern in self.config.tools or ())

    def effect(self, tool: str, listing: Listing) -> Judged:
        """Returns the effect of a tool."""
        return effect_of(self.table.effect, tool, listing.tools[tool].hints)


@dataclass(frozen=True, slots=True)
class Seen:
    """Holds what a server lists now, and how that differs from what a worker here pinned last; or why nobody knows.

    `about` is the name and version that it gave itself then; None where nobody knows.
    """

    server: NamedServer
    listing: Listing
    changes: Changes | None = None
    trouble: str | None = None
    about: str | None = None

    @property
    def another(self) -> bool:
        """Tells whether the server gives itself another name or version than when it was pinned."""
        return self.about is not None and self.about != self.listing.about


def named_servers(settings: Settings, name: str | None, agent: str | None) -> list[NamedServer]:
    """Returns the servers that agents name.

    Args:
        settings: where the agents lie.
        name: of one server; None for all.
        agent: of one agent; None for all.

    Raises:
        ConfigurationError: an agent.toml cannot be used, or there is no such server.
    """
    found: list[NamedServer] = []
    known: set[str] = set()
    for folder in _folders(settings):
        config = read_config(folder / "agent.toml")
        known |= config.mcp.keys()
        found += [
            NamedServer(folder.name, server, config)
            for server in config.mcp
            if name in (None, server) and agent in (None, folder.name)
        ]
    if not found and name is not None:
        whom = f"the agent `{agent}` names" if agent else "any agent names"
        mend = did_you_mean(name, known) or "servers are the tables `[mcp.NAME]` of agent.toml"
        raise ConfigurationError(f"there is no server `{name}` that {whom}", mend=mend)
    return found


def seen(servers: Sequence[NamedServer], secrets: Secrets) -> list[Seen]:
    """Asks servers for their tools."""
    found: list[Seen] = []
    for server in servers:
        listing = servers_of({server.name: server.table}).list(secrets.read)[server.name]
        if isinstance(listing, ConfigurationError):
            found.append(Seen(server, Listing(), trouble=secrets.scrubbed(listing.what)))
            continue
        pinned = kept_pins(server.agent, server.name)
        changed = None if pinned is None else changes(pinned, listing.digests)
        found.append(Seen(server, listing, changed, about=kept_about(server.agent, server.name)))
    return found


def suggested(one: Seen) -> list[str]:
    """Returns lines for agent.toml that list all tools of a server, each with the effect that is safe to begin with."""
    hints = {name: tool.hints for name, tool in one.listing.tools.items()}
    reads = sorted(name for name, given in hints.items() if given.get("readOnlyHint") is True)
    tools = ", ".join(f'"{tool_name(one.server.name, name)}"' for name in one.listing.tools)
    effects = ", ".join(f'"{name}" = "read"' for name in reads)
    lines = [f"tools = [{tools}]", "", f"[mcp.{one.server.name}]"]
    if reads:
        lines += ["# the server says that these only read: a claim, for you to judge", f"effect = {{ {effects} }}"]
    return lines


def floating(command: Sequence[str] | None) -> str | None:
    """Returns the package that a command fetches in whatever version is the newest; None where it fetches none.

    Args:
        command: the command of a server.
    """
    if not command or Path(command[0]).name not in _RUNNERS:
        return None
    package = next((word for word in command[1:] if not word.startswith("-")), None)
    return package if package is not None and _FLOATING.fullmatch(package) else None


def floating_servers(agents: Mapping[str, AgentConfig]) -> list[tuple[str, str, str]]:
    """Returns agent, server and package of each server whose program is fetched in whatever version is the newest."""
    return [
        (agent, name, package)
        for agent, config in sorted(agents.items())
        for name, table in config.mcp.items()
        if (package := floating(table.command)) is not None
    ]


def _folders(settings: Settings) -> list[Path]:
    places: dict[str, Path] = {}
    for root in settings.agent_folders(folders.SHIPPED_AGENTS):
        for file in sorted(root.glob("*/agent.toml")):
            places.setdefault(file.parent.name, file.parent)
    return list(places.values())
