"""Workers start together, stop together, and say what they serve."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from backstay.adapters.agent.mcp_tools import NO_SERVERS
from backstay.app.application import Application
from backstay.app.worker import prepare, ready_line, serving_together


class FakeWorker:
    """A worker that takes a moment to stop, and fails at its start if told to."""

    def __init__(self, name: str, said: list[str], broken: bool = False) -> None:
        self.name, self.said, self.broken = name, said, broken

    async def __aenter__(self) -> "FakeWorker":
        if self.broken:
            raise RuntimeError(f"{self.name} cannot start")
        self.said.append(f"{self.name} serves")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.said.append(f"{self.name} has ended")

    async def shutdown(self) -> None:
        self.said.append(f"{self.name} stops")
        await asyncio.sleep(0)
        self.said.append(f"{self.name} stopped")


async def test_workers_stop_side_by_side() -> None:
    said: list[str] = []
    runs, effects = FakeWorker("runs", said), FakeWorker("effects", said)
    async with serving_together(cast("list[Worker]", [runs, effects])) as first:
        assert cast("Any", first) is runs
        assert said == ["runs serves", "effects serves"]
    assert said[2:6] == ["runs stops", "effects stops", "runs stopped", "effects stopped"]


async def test_a_worker_that_cannot_start_ends_the_ones_before_it() -> None:
    said: list[str] = []
    together = [FakeWorker("runs", said), FakeWorker("effects", said, broken=True)]
    with pytest.raises(RuntimeError, match="effects cannot start"):
        async with serving_together(cast("list[Worker]", together)):
            pass
    assert said == ["runs serves", "runs has ended"]


def application_of(**settings: Any) -> Application:
    agents = {name: SimpleNamespace(tools={}, mcp=NO_SERVERS) for name in ("b", "a")}
    catalog = SimpleNamespace(agents=agents)
    parts = SimpleNamespace(settings=SimpleNamespace(**settings), catalog=catalog, shares_effects=lambda: False)
    return cast("Application", parts)


CLIENT = cast("Client", SimpleNamespace(service_client=SimpleNamespace(config=SimpleNamespace(target_host="host:7"))))


def test_a_worker_says_its_agents_its_queue_and_its_server() -> None:
    assert ready_line(application_of(task_queue="agents"), CLIENT) == (
        "worker ready: agents a, b on task queue agents at host:7"
    )


async def test_nothing_is_registered_where_runs_go_without_search_attributes() -> None:
    said: list[str] = []
    await prepare(application_of(search_attributes=False), CLIENT, said.append)
    assert said == []
