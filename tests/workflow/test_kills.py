"""Kills of many runs at once, each accounted for: killed, already closed, or why it could not be."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from backstay.client.client import BackstayClient
from backstay.client.kills import Account, Kills, Outcome
from backstay.testing import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.workflow.conftest import Opener, Workshop

SLEEPS = Reply(calls=[Call("work", {"text": "a", "seconds": 60})])
DEAF = Reply(calls=[Call("stubborn", {"seconds": 3})])
SCRIPTS = {"sleep": [SLEEPS], "answer": [Reply("done")], "deaf": [DEAF], "think": [Reply("late", delay=60)]}


def kills_of(shop: Workshop, progress: Callable[[int, int], None] = lambda done, total: None) -> Kills:
    client = BackstayClient(shop.runtime.client, shop.runtime.settings.task_queue, patience=2.0)
    return Kills(client, "olga", "enough", progress)


async def test_every_run_is_accounted_for(workshop: Opener) -> None:
    async with workshop(SCRIPTS) as shop:
        answered, sleeping, thinking = [await shop.start(goal=goal) for goal in ("answer", "sleep", "think")]
        await shop.result(answered)
        await shop.effects("begin a")
        told: list[tuple[int, int]] = []
        kills = kills_of(shop, lambda done, total: told.append((done, total)))
        await kills.kill([answered.id, sleeping.id, thinking.id, "nowhere"])
        assert kills.accounts[answered.id] == Account(answered.id, Outcome.ALREADY_CLOSED, "completed")
        in_flight = "in flight: work (1-0): unknown"
        assert kills.accounts[sleeping.id] == Account(sleeping.id, Outcome.KILLED, in_flight)
        assert kills.accounts[thinking.id] == Account(thinking.id, Outcome.KILLED)
        assert kills.accounts["nowhere"].outcome is Outcome.COULD_NOT
        assert "there is no run" in (kills.accounts["nowhere"].detail or "")
        assert told == [(done, 4) for done in (1, 2, 3, 4)]


async def test_a_run_that_nobody_serves_keeps_the_order(workshop: Opener) -> None:
    async with workshop(SCRIPTS, worker=False) as shop:
        handle = await shop.start(goal="answer")
        kills = kills_of(shop)
        await kills.kill([handle.id])
        assert kills.accounts[handle.id].outcome is Outcome.COULD_NOT
        assert "no worker answers" in (kills.accounts[handle.id].detail or "")
        async with shop.worker():
            assert (await shop.result(handle)).stop_reason == "killed"


async def test_a_run_whose_tool_does_not_listen_is_said_to_be_open(
    workshop: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backstay.client.kills._PATIENCE_SECONDS", 0.5)
    async with workshop(SCRIPTS) as shop:
        handle = await shop.start(goal="deaf")
        await shop.effects("begin stubborn")
        kills = kills_of(shop)
        await kills.kill([handle.id])
        assert kills.accounts[handle.id].outcome is Outcome.COULD_NOT
        assert kills.accounts[handle.id].detail == "the order is given; in flight: act-1-0 (attempt 1)"
        await asyncio.wait_for(handle.result(), 20)
