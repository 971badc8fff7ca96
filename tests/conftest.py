"""Serves all tests: one real Temporal server for the whole session."""

import base64
import faulthandler
import gc
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from _pytest.faulthandler import fault_handler_stderr_fd_key
from temporalio.client import Client

from backstay.adapters.engine.dev_server import DevServer, dev_server
from backstay.client.connection import connect

_YOUNG_OBJECTS = 7_000
"""Ten times Python's own: how many new objects the garbage collector waits for."""


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """Watches the end of a test that failed too.

    pytest has just ended its watch, for those who debug: an end that hangs after a failure would hang the whole suite.
    """
    seconds, stderr = float(node.config.getini("faulthandler_timeout")), node.config.stash[fault_handler_stderr_fd_key]
    faulthandler.dump_traceback_later(seconds, file=stderr, exit=True)


def pytest_collection_finish() -> None:
    """Keeps all that the tests are made of out of the garbage collector's sight.

    A full collection would look at each of some ten thousand tests, and hold up a workflow for more than Temporal's two
    seconds where three processes share two cores.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)


@pytest.fixture(scope="session", autouse=True)
def fleet_key() -> Iterator[None]:
    """One key for all workers that tests start, so that none keeps one for the person who runs them."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("BACKSTAY_FLEET_KEY", base64.b64encode(os.urandom(32)).decode())
        environment.delenv("COLUMNS", raising=False)  # whoever runs the tests may have a narrow terminal
        yield


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """Sets the level of Temporal's log back: a command that a test runs in this process changes it."""
    logger = logging.getLogger("temporalio")
    before = logger.level
    yield
    logger.setLevel(before)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal_server() -> AsyncIterator[DevServer]:
    """A development server for the session; it can pause workflows, which servers do behind a flag."""
    async with dev_server(features=["frontend.WorkflowPauseEnabled=true"]) as server:
        yield server


@pytest.fixture
async def client(temporal_server: DevServer) -> Client:
    """A client of the session's server, in this test's own event loop."""
    return await connect(target_host=temporal_server.address, namespace="default")


@pytest.fixture
def agent_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes an agent's folder below `agents/` of the test's directory, and returns `agents/`."""

    def write(name: str = "clerk", toml: str = "", tools: str = "") -> Path:
        folder = tmp_path / "agents" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "agent.toml").write_text('instructions = "You are a careful clerk."\n' + toml)
        if tools:
            (folder / "tools.py").write_text(tools)
        return folder.parent

    return write
