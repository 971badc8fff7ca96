"""Servers that nobody here wrote, from the registries of Python and of Node."""

import asyncio
import json
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from backstay.adapters.mcp.asking import ServerCall
from backstay.adapters.mcp.loop import server_loop
from backstay.adapters.mcp.pool import Pool
from backstay.adapters.mcp.server import Server
from backstay.kernel.mcp_pins import Listing
from backstay.kernel.mcp_result import answer_text
from backstay.tools.call import no_secret

from .place import META
from .real import node_server, python_server

LISTS = Path(__file__).with_name("lists")

pytestmark = pytest.mark.timeout(240)
"""The first test of a machine installs the servers."""


class Real:
    """A real server, and calls of its tools."""

    def __init__(self, name: str, *command: str, **given: Any) -> None:
        self.name = name
        self.pool = Pool(Server(name, command, **given))
        self.loop = server_loop()

    async def started(self) -> Listing:
        listing = await self.loop.run(lambda: self.pool.list(no_secret))
        self.pool.pins = listing.digests
        return listing

    async def says(self, tool: str, **arguments: Any) -> str:
        return answer_text(
            await self.loop.run(lambda: self.pool.call(ServerCall(tool, arguments, META), "acme", no_secret))
        )

    async def close(self) -> None:
        await self.loop.run(self.pool.close)


Opened = Callable[..., Real]


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    servers: list[Real] = []

    def one(name: str, *command: str, **given: Any) -> Real:
        servers.append(Real(name, *command, **given))
        return servers[-1]

    yield one
    for server in servers:
        await server.close()


def names_in(kept: str) -> set[str]:
    """The names of the tools that a list of a real server has."""
    return {tool["name"] for tool in json.loads((LISTS / f"{kept}.json").read_text())["tools"]}


def repository(place: Path) -> None:
    """Makes an empty repository."""
    subprocess.run(["git", "init", "-q", str(place)], check=True)


async def test_time_tells_the_time(opened: Opened) -> None:
    server = opened("time", python_server("mcp-server-time", "mcp-server-time==2026.10.19"))
    first = await server.started()
    assert set(first.tools) == names_in("time")
    assert (await server.started()).digests == first.digests
    assert "UTC" in await server.says("get_current_time", timezone="UTC")


async def test_git_shows_a_repository(opened: Opened, tmp_path: Path) -> None:
    repository(tmp_path)
    (tmp_path / "new.txt").write_text("x")
    program = python_server("mcp-server-git", "mcp-server-git==2026.10.19")
    server = opened("git", program, "--repository", str(tmp_path))
    assert set((await server.started()).tools) == names_in("git")
    assert "new.txt" in await server.says("git_status", repo_path=str(tmp_path))


async def test_sqlite_of_an_older_era_keeps_its_rows(opened: Opened, tmp_path: Path) -> None:
    program = python_server("mcp-server-sqlite", "mcp-server-sqlite==2025.4.25", "mcp<2")
    server = opened("sqlite", program, "--db-path", str(tmp_path / "shop.db"))
    assert set((await server.started()).tools) == names_in("sqlite")
    await server.says("create_table", query="CREATE TABLE orders (id INTEGER)")
    await server.says("write_query", query="INSERT INTO orders VALUES (17)")
    assert "17" in await server.says("read_query", query="SELECT * FROM orders")


async def test_filesystem_reads_and_writes_where_it_may(opened: Opened, tmp_path: Path) -> None:
    command = node_server("mcp-server-filesystem", "@modelcontextprotocol/server-filesystem@2026.8.31")
    server = opened("files", *command, str(tmp_path))
    listing = await server.started()
    assert set(listing.tools) == names_in("filesystem")
    await server.says("write_file", path=str(tmp_path / "a.txt"), content="hello")
    assert "hello" in await server.says("read_text_file", path=str(tmp_path / "a.txt"))
    assert "denied" in (await server.says("read_text_file", path="/etc/hostname")).lower()


async def test_memory_keeps_what_it_was_told(opened: Opened, tmp_path: Path) -> None:
    command = node_server("mcp-server-memory", "@modelcontextprotocol/server-memory@2026.8.31")
    server = opened("memory", *command, env={"MEMORY_FILE_PATH": str(tmp_path / "memory.json")})
    await server.started()
    entity = {"name": "Ann", "entityType": "person", "observations": ["likes tea"]}
    await server.says("create_entities", entities=[entity])
    assert "likes tea" in await server.says("read_graph")


async def test_everything_shows_pictures_links_and_structure(opened: Opened) -> None:
    command = node_server("mcp-server-everything", "@modelcontextprotocol/server-everything@2026.8.31")
    server = opened("everything", *command, "stdio")
    listing = await server.started()
    assert set(listing.tools) | set(listing.refused) == names_in("everything")
    assert "hello" in await server.says("echo", message="hello")
    picture = await server.says("get-tiny-image")
    assert '"mime":"image/png"' in picture
    assert len(picture) < 1_000
    assert "[link to a resource" in await server.says("get-resource-links", count=2)
    found = await asyncio.gather(*(server.says("echo", message=str(number)) for number in range(20)))
    assert all(str(number) in one for number, one in enumerate(found))


async def test_everything_speaks_over_http_too(opened: Opened) -> None:
    command = node_server("mcp-server-everything", "@modelcontextprotocol/server-everything@2026.8.31")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *command, "streamableHttp", env={"PORT": str(port), "PATH": "/usr/bin"}, stdout=-3, stderr=-3
    )
    try:
        server = opened("far", url=f"http://127.0.0.1:{port}/mcp")
        for _ in range(60):
            try:
                await server.started()
                break
            except Exception:
                await asyncio.sleep(0.5)
        assert "hello" in await server.says("echo", message="hello")
        assert "hello" in await server.says("echo", message="hello")
    finally:
        process.kill()
        await process.wait()
