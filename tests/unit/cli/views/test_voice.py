"""A run that waits says so once, and asks at a terminal only whoever may answer, and about a call shown whole."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backstay.cli.views import voice
from backstay.cli.views.voice import Voice
from backstay.client.overview import Pending
from backstay.client.run import Run
from backstay.contracts.approval import PendingApproval

from .test_approval import pending
from .test_trouble import FAILING


class FakeRun:
    """A run that waits for what the test says."""

    run_id = "r1"

    def __init__(self, *waiting: PendingApproval, pending: Sequence[tuple[Pending, ...]] = ((),)) -> None:
        self.waiting = list(waiting)
        self._pending = list(pending)

    async def describe(self) -> Any:
        """What is under way, one after the other at each look; the last stays."""
        return SimpleNamespace(pending=self._pending.pop(0) if len(self._pending) > 1 else self._pending[0])

    async def status(self) -> Any:
        return SimpleNamespace(pending_approvals=self.waiting)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The approvals that somebody was asked about; each question is answered with `later` at once."""
    put: list[str] = []

    class Asked:
        def __init__(self, run: Run, approval: PendingApproval, me: str) -> None:
            self._approval = approval

        async def put(self) -> None:
            put.append(self._approval.approval_id)

    monkeypatch.setattr(voice, "Question", Asked)
    monkeypatch.setattr(voice, "_POLL_SECONDS", 0.01)
    return put


async def said(run: FakeRun, me: str | None, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines that somebody who follows the run reads."""
    task = asyncio.create_task(Voice(cast("Run", run), me).speak())
    await asyncio.sleep(0.3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return capsys.readouterr().err.splitlines()


async def heard(run: FakeRun, me: str | None, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines among them that say whom the run waits for."""
    return [line for line in await said(run, me, capsys) if line.startswith("waiting for")]


async def test_each_approval_is_said_once_and_who_may_answer_is_asked_about_each(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run = FakeRun(*(pending(approval_id=name, approvers=["Ann <ann@x.org>"]) for name in ("ap-1", "ap-2")))
    assert len(await heard(run, "ANN@x.org", capsys)) == 2
    assert asked == ["ap-1", "ap-2"]


@pytest.mark.parametrize("me", [None, "bob"])
async def test_nobody_else_is_asked(me: str | None, asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert len(await heard(FakeRun(pending(approvers=["ann"])), me, capsys)) == 1
    assert asked == []


async def test_a_call_that_the_card_shows_in_part_is_not_asked_about(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    long = pending(approvers=["ann"], args={"text": "x" * 10_000})
    [line] = await heard(FakeRun(long), "ann", capsys)
    assert "--digest" in line
    assert asked == []


async def test_a_failing_model_is_said_once_for_each_attempt_and_no_longer_than_it_is_so(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    under_way = replace(FAILING, attempt=8, running=True, next_try_at=None)
    looks = [(), (FAILING,), (FAILING,), (under_way,), (replace(FAILING, attempt=8),), ()]
    lines = await said(FakeRun(pending=looks), None, capsys)
    assert [line.split(", ")[:2] for line in lines] == [
        ["model unreachable", "attempt 7"],
        ["model unreachable", "attempt 8"],
        ["the model answers again"],
    ]
    assert all("next try in" in line and "gives up in" in line for line in lines[:2])
