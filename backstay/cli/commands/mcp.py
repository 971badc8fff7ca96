"""`backstay mcp`: shows the tools of MCP servers, and what has changed; needs no Temporal server and no model."""

from typing import Annotated

import typer

from ..shell.completion import agent_names
from ..shell.options import Written
from ..shell.output import Output

mcp = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

Agent = Annotated[
    str | None, typer.Option("--agent", "-a", help="The server of this agent alone.", autocompletion=agent_names)
]


@mcp.callback()
def servers() -> None:
    """Show the tools of the MCP servers that agents name in agent.toml, and what has changed."""


@mcp.command("list")
def list_tools(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="This server alone.")] = None,
    agent: Agent = None,
    output: Written = Output.TABLE,
) -> int:
    """Start or ask the servers, and list their tools: the effect of each, and whether the agent lists it.

    Exit code: 0 listed, 1 a server cannot be reached, 2 there is no such server.
    """
    from ..work import mcp as work

    return work.list_tools(name, agent, output)


@mcp.command()
def check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The server's name in agent.toml.")],
    agent: Agent = None,
    output: Written = Output.TABLE,
) -> int:
    """Show what a server lists now: effects, digests, what a worker here pinned otherwise, and lines for agent.toml.

    Exit code: 0 nothing has changed, 1 the server cannot be reached, 2 there is no such server, 3 tools have changed
    since a worker on this machine pinned them.
    """
    from ..work import mcp as work

    return work.check(name, agent, output)
