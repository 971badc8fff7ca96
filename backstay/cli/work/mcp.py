"""`backstay mcp`: shows the tools of MCP servers, and what has changed."""

from collections.abc import Sequence
from typing import Any

from backstay.adapters.secret.store import Secrets
from backstay.checks.mcp_servers import Seen, named_servers, seen, suggested
from backstay.settings import load_settings

from ..shell.exit import ExitCode
from ..shell.terminal import Output, clean, say, write, write_json
from ..views.columns import Columns

_SHOWN_DIGITS = 12


def list_tools(name: str | None, agent: str | None, output: Output) -> int:
    """Runs `backstay mcp list` and returns its exit code."""
    found = _seen(name, agent)
    if output is Output.JSON:
        write_json([_as_json(one) for one in found])
    elif not found:
        say("no agent names an MCP server; a table `[mcp.NAME]` of agent.toml does")
    else:
        for one in found:
            _show(one)
    return _code(found)


def check(name: str, agent: str | None, output: Output) -> int:
    """Runs `backstay mcp check` and returns its exit code."""
    found = _seen(name, agent)
    if output is Output.JSON:
        write_json([{**_as_json(one), "lines": suggested(one) if one.trouble is None else []} for one in found])
    else:
        for one in found:
            _show(one)
            _show_changes(one)
    changed = any(one.changes is not None and not one.changes.none for one in found)
    return _code(found) or (ExitCode.STOPPED if changed else ExitCode.COMPLETED)


def _seen(name: str | None, agent: str | None) -> list[Seen]:
    settings = load_settings()
    return seen(named_servers(settings, name, agent), Secrets(settings.secrets))


def _code(found: Sequence[Seen]) -> int:
    return ExitCode.FAILED if any(one.trouble is not None for one in found) else ExitCode.COMPLETED


def _show(one: Seen) -> None:
    say(f"server {one.server.name} of the agent {one.server.agent}")
    if one.trouble is not None:
        say(f"  {clean(one.trouble)}", "bold red")
        return
    table = Columns(("tool", "effect", "listed", "digest", "note"))
    for name, tool in one.listing.tools.items():
        judged = one.server.effect(name, one.listing)
        digest = tool.digest.removeprefix("sha256:")[:_SHOWN_DIGITS]
        table.add(name, judged.effect, "yes" if one.server.lists(name) else "no", digest, clean(judged.warning))
    for name, why in one.listing.refused.items():
        table.add(clean(name) or "(no name)", "-", "no", "", clean(f"cannot be used: {why}"))
    write(table)


def _show_changes(one: Seen) -> None:
    if one.trouble is not None:
        return
    if one.another:
        say(
            f"the server calls itself `{clean(one.listing.about)}`, and called itself `{clean(one.about or '')}` then",
            "yellow",
        )
    if one.changes is None:
        say("no worker on this machine has pinned these tools yet")
    elif one.changes.none:
        say("nothing has changed since a worker here pinned these tools")
    else:
        for what in ("changed", "gone", "new"):
            for name in getattr(one.changes, what):
                say(f"{what} since a worker here pinned it: {clean(name)}", "yellow")
    write("", *suggested(one))


def _as_json(one: Seen) -> dict[str, Any]:
    return {
        "agent": one.server.agent,
        "server": one.server.name,
        "trouble": one.trouble,
        "about": {"now": one.listing.about, "pinned": one.about},
        "tools": [
            {
                "name": name,
                "effect": one.server.effect(name, one.listing).effect,
                "warning": one.server.effect(name, one.listing).warning or None,
                "listed": one.server.lists(name),
                "digest": tool.digest,
                "description": tool.description,
            }
            for name, tool in one.listing.tools.items()
        ],
        "refused": dict(one.listing.refused),
        "changes": None
        if one.changes is None
        else {what: list(getattr(one.changes, what)) for what in ("changed", "gone", "new")},
    }
