"""A worker says over HTTP that it lives, whether it is ready, and why it is not."""

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from backstay.adapters.engine.dev_server import free_port
from backstay.app import health as asked
from backstay.app.health import Health, answering
from backstay.errors import ConfigurationError


@dataclass
class FakeWorker:
    """A worker that asks for work, or does not."""

    is_running: bool = True


WORKERS = (FakeWorker(), FakeWorker())


class World:
    """What a worker's health is made of."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        self.calls: list[str] = []
        self.health = Health(lambda: self.trouble, lambda: self.calls)


async def get(address: str, path: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"http://{address}{path}") as answer:
        return answer.status, await answer.json()


@asynccontextmanager
async def serving(world: World) -> AsyncGenerator[str]:
    address = f"127.0.0.1:{free_port()}"
    async with answering(address, world.health):
        yield address


async def test_a_worker_that_works_is_live_and_ready() -> None:
    world = World()
    async with serving(world) as address, world.health.working(WORKERS):
        assert await get(address, "/livez") == (200, {"live": True})
        assert await get(address, "/readyz") == (200, {"ready": True, "reasons": [], "calls_running": 0})


async def test_a_worker_that_has_not_begun_or_lost_a_poller_does_not_ask_for_work() -> None:
    world = World()
    async with serving(world) as address:
        assert await get(address, "/livez") == (200, {"live": True})
        status, found = await get(address, "/readyz")
        assert (status, found["reasons"]) == (503, ["it does not ask for work"])
        async with world.health.working((*WORKERS, FakeWorker(is_running=False))):
            status, found = await get(address, "/readyz")
            assert (status, found["reasons"]) == (503, ["it does not ask for work"])


async def test_what_holds_effects_and_decisions_is_a_reason_in_its_own_words() -> None:
    world = World()
    async with serving(world) as address, world.health.working(WORKERS):
        world.trouble = "its copy of the control plane is too old"
        status, found = await get(address, "/readyz")
        assert (status, found["ready"]) == (503, False)
        assert found["reasons"] == [world.trouble]
        world.trouble = None
        assert (await get(address, "/readyz"))[0] == 200


async def test_a_worker_that_drains_is_live_not_ready_and_says_how_many_calls_are_running() -> None:
    world = World()
    async with serving(world) as address:
        async with world.health.working(WORKERS):
            world.calls = ["the tool `a`", "the tool `b`"]
        assert await get(address, "/livez") == (200, {"live": True})
        assert await get(address, "/readyz") == (
            503,
            {"ready": False, "reasons": ["it was told to stop: 2 calls are still running"], "calls_running": 2},
        )


async def test_the_log_says_again_and_again_how_many_calls_are_running(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "EVERY_SECONDS", 0.01)
    world = World()
    world.calls = ["the tool `a`"]
    with caplog.at_level(logging.WARNING, "backstay.worker"):
        async with world.health.logged():
            async with world.health.working(WORKERS):
                await asyncio.sleep(0.05)
                assert caplog.messages == []
            while len(caplog.messages) < 2:
                await asyncio.sleep(0.01)
            world.calls = []
            while "stopping: no call of a tool is still running" not in caplog.messages:
                await asyncio.sleep(0.01)
    assert caplog.messages[:2] == ["stopping: 1 call is still running"] * 2


async def test_nothing_listens_without_an_address_nor_after_the_end() -> None:
    async with answering(None, World().health):
        pass
    async with serving(World()) as address:
        pass
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(address, "/livez")


async def test_other_paths_and_methods_are_refused() -> None:
    async with serving(World()) as address, aiohttp.ClientSession() as session:
        for method, path, status in (("GET", "/", 404), ("POST", "/readyz", 405), ("DELETE", "/livez", 405)):
            async with session.request(method, f"http://{address}{path}") as answer:
                assert answer.status == status


async def test_a_taken_port_is_an_error_that_names_the_setting() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ConfigurationError, match="cannot listen on") as caught:
            async with answering(address, World().health):
                pass
    assert "`BACKSTAY_HEALTH`" in str(caught.value)
