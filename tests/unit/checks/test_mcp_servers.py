"""Servers whose programs change by themselves are found."""

import pytest

from backstay.checks.mcp_servers import floating


@pytest.mark.parametrize(
    ("command", "package"),
    [
        (["npx", "-y", "@modelcontextprotocol/server-filesystem", "/srv"], "@modelcontextprotocol/server-filesystem"),
        (["npx", "server-memory"], "server-memory"),
        (["/usr/bin/uvx", "mcp-server-git"], "mcp-server-git"),
    ],
)
def test_a_command_that_fetches_whatever_is_the_newest_is_named(command: list[str], package: str) -> None:
    assert floating(command) == package


@pytest.mark.parametrize(
    "command",
    [
        None,
        [],
        ["npx", "-y"],
        ["npx", "-y", "@modelcontextprotocol/server-filesystem@2026.8.31", "/srv"],
        ["npx", "server-memory@1.0"],
        ["uvx", "mcp-server-git==2026.10.19"],
        ["mcp-server-git", "--repository", "."],
    ],
)
def test_any_other_command_is_left_alone(command: list[str] | None) -> None:
    assert floating(command) is None
