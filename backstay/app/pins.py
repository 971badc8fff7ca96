"""Keeps by what a worker pins the tools of MCP servers, and says what has changed since it did so last."""

from collections.abc import Callable

from backstay.adapters.mcp.kept_pins import keep_pins, kept_about, kept_pins
from backstay.app.application import Application
from backstay.kernel.mcp_pins import changes

Say = Callable[[str], None]


def pin_tools(app: Application, say: Say) -> None:
    """Keeps what the servers of all agents list now.

    Args:
        app: what is served.
        say: tells a person what has changed.
    """
    for agent in app.catalog.agents.values():
        for server, pool in agent.mcp.servers.pools.items() if agent.mcp.servers is not None else ():
            before = kept_pins(agent.name, server)
            found = changes(pool.pins if before is None else before, pool.pins)
            if not found.none:
                what = ", ".join(f"`{name}`" for name in (*found.changed, *found.gone, *found.new))
                say(f"{agent.name}: the server `{server}` lists tools that have changed: {what}")
            known = kept_about(agent.name, server)
            if known is not None and known != pool.about:
                say(f"{agent.name}: the server `{server}` is `{pool.about}` now, and was `{known}`")
            keep_pins(agent.name, server, pool.pins, pool.about)
