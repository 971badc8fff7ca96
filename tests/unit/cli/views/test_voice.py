"""A run that waits says so once, and asks at a terminal only whoever may answer, and about a call shown whole."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backstay.cli.views import voice
from backstay.cli.views.voice import Voice
from backstay.client.run import Run
from backstay.contracts.approval import PendingApproval

from .test_approval import pending


class FakeRun:
    """A run that waits for what the test says."""

    run_id = "r1"

    def __init__(self, *waiting: PendingApproval) -> None:
        self.waiting = list(waiting)

    async def describe(self) -> Any:
        return SimpleNamespace(pending=())

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


async def heard(run: FakeRun, me: str | None, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines that somebody who follows the run reads."""
    task = asyncio.create_task(Voice(cast("Run", run), me).speak())
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("waiting for")]


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
