"""What becomes unreadable while past calls are judged is said, and no success."""

import json
from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backstay.adapters.payload.converter import data_converter
from backstay.checks.past_runs import PastRun, Unread
from backstay.cli.shell.output import Output
from backstay.cli.work import policy_replay as work
from backstay.contracts.history import RunRef

HERE, LOST = RunRef("run-1", "link-1"), RunRef("run-2", "link-2")
SERVER = SimpleNamespace(config=SimpleNamespace(target_host="engine:7233"))
TEMPORAL = SimpleNamespace(service_client=SERVER, namespace="default", data_converter=data_converter())


async def connected() -> Any:
    return SimpleNamespace(client=SimpleNamespace(temporal=TEMPORAL, task_queue="agents"))


async def links_since(client: Any, task_queue: str, since: datetime, agent: str | None) -> list[RunRef]:
    assert (client, task_queue, agent) == (TEMPORAL, "agents", None)
    return [HERE, LOST]


async def past_runs(client: Any, links: list[RunRef]) -> AsyncGenerator[PastRun | Unread]:
    assert links == [HERE, LOST]
    yield PastRun(HERE)


async def elsewhere(link: Any) -> bool:
    return False


@pytest.mark.parametrize("archive", [None, "archive"])
def test_a_history_that_is_deleted_after_it_was_listed_is_told(
    agent_folder: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    archive: str | None,
) -> None:
    for fake in (connected, links_since, past_runs):
        monkeypatch.setattr(work, fake.__name__, fake)
    monkeypatch.setattr(work, "said_elsewhere", elsewhere)
    if archive is not None:
        monkeypatch.setenv("BACKSTAY_ARCHIVE", str(tmp_path / archive))
    assert work.replay([], [agent_folder("clerk")], work.Wanted(), Output.JSON) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["calls"], found["unread"]) == (
        0,
        [{"name": "run-2", "why": "Temporal has deleted its history meanwhile"}],
    )
