"""A run is followed to its end: what is new is printed once, and silence is no error."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest

from backstay.cli.views import follow
from backstay.cli.views.follow import Follower, follow_to_the_end, say_left_alone, say_no_end
from backstay.client.client import Run
from backstay.contracts.status import TranscriptItem
from backstay.errors import NoWorkerError


class FakeRun:
    """A run with a conversation that grows, and an end that the test decides."""

    run_id = "r1"

    def __init__(self, *texts: str) -> None:
        self.items = [TranscriptItem(n=n, step=1, kind="note", text=text) for n, text in enumerate(texts, 1)]
        self.answers = True
        self.silences = 0
        """The questions that nobody answers before somebody does."""
        self.ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def transcript(self, after: int = 0) -> AsyncGenerator[TranscriptItem]:
        if not self.answers or self.silences:
            self.silences = max(0, self.silences - 1)
            raise NoWorkerError(self.run_id)
        for item in self.items[after:]:
            yield item

    async def result(self) -> Any:
        return await self.ended


def follower_of(run: FakeRun) -> tuple[Follower, list[str]]:
    printed: list[str] = []
    return Follower(cast("Run", run), lambda line: printed.append(line.plain.strip())), printed


async def test_what_is_new_is_printed_once() -> None:
    run = FakeRun("one")
    follower, printed = follower_of(run)
    assert await follower.catch_up()
    run.items.append(TranscriptItem(n=2, step=1, kind="note", text="two"))
    assert await follower.catch_up()
    assert printed == ["· one", "· two"]
    assert follower.heard.is_set()


async def test_silence_is_said_and_raises_nothing() -> None:
    run = FakeRun("one")
    run.answers = False
    follower, printed = follower_of(run)
    assert not await follower.catch_up()
    assert printed == []
    assert not follower.heard.is_set()


async def test_the_last_items_are_printed_after_the_end() -> None:
    run = FakeRun()
    follower, printed = follower_of(run)
    following = asyncio.create_task(follow_to_the_end(cast("Run", run), follower))
    await asyncio.sleep(0.05)
    run.items.append(TranscriptItem(n=1, step=1, kind="note", text="last"))
    run.ended.set_result("the result")
    assert cast("str", await following) == "the result"
    assert printed == ["· last"]


async def test_a_last_question_that_nobody_answered_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "_POLL_SECONDS", 0.01)
    run = FakeRun("one")
    run.silences = 3
    run.ended.set_result("the result")
    follower, printed = follower_of(run)
    assert cast("str", await follow_to_the_end(cast("Run", run), follower)) == "the result"
    assert printed == ["· one"]


async def test_who_hears_no_last_steps_is_told_where_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(follow, "_LAST_LOOK_SECONDS", 0.05)
    run = FakeRun("one")
    run.answers = False
    run.ended.set_result("the result")
    assert cast("str", await follow_to_the_end(cast("Run", run), follower_of(run)[0])) == "the result"
    assert capsys.readouterr().err == "no worker told the last steps: backstay transcript r1\n"


async def test_a_run_that_breaks_leaves_nobody_following() -> None:
    run = FakeRun()
    run.ended.set_exception(NoWorkerError("r1"))
    before = asyncio.all_tasks()
    with pytest.raises(NoWorkerError):
        await follow_to_the_end(cast("Run", run), follower_of(run)[0])
    assert asyncio.all_tasks() == before


def test_who_stops_waiting_is_told_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    say_no_end("r1", 30.0)
    say_left_alone("r1")
    ended, _, alone = capsys.readouterr().err.splitlines()
    assert ended.startswith("no end within 30 seconds; the run goes on. ")
    assert alone.startswith("left alone: the run goes on. ")
    for line in (ended, alone):
        assert "backstay show r1" in line
        assert "backstay kill r1 --reason WHY" in line
