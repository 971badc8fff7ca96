"""Heartbeats: what an attempt leaves for the next one, and who ended it."""

import asyncio
from collections.abc import Callable

import pytest
from temporalio.activity import ActivityCancellationDetails

from activities import heartbeat
from activities.heartbeat import beating, cancelled_at_all, cancelled_by_the_run, engine_knows_it_no_more

from .world import World


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "EVERY_SECONDS", 0.005)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.001)


async def test_an_activity_that_ends_at_once_sends_no_heartbeat(world: World) -> None:
    async def at_once() -> None:
        async with beating("details"):
            pass

    await world.env.run(at_once)
    await asyncio.sleep(0.02)
    assert world.beats == []


async def test_every_heartbeat_carries_the_details_the_attempt_began_with(world: World) -> None:
    async def two_beats() -> None:
        async with beating("one", 2):
            await until(lambda: len(world.beats) == 2)

    await world.env.run(two_beats)
    assert world.beats == [("one", 2)] * 2


async def test_what_is_told_is_sent_at_once_and_with_every_later_heartbeat(world: World) -> None:
    async def told() -> None:
        async with beating("before") as pulse:
            pulse.tell("after")
            assert world.beats == [("after",)]
            await until(lambda: len(world.beats) == 3)

    await world.env.run(told)
    assert world.beats == [("after",)] * 3


@pytest.mark.parametrize("error", [None, ValueError("no")])
async def test_heartbeats_end_with_their_block_however_it_ends(world: World, error: Exception | None) -> None:
    async def ends() -> None:
        async with beating():
            await until(lambda: len(world.beats) == 1)
            if error:
                raise error

    [ended] = await asyncio.gather(world.env.run(ends), return_exceptions=True)
    assert ended is error
    sent = len(world.beats)
    await asyncio.sleep(0.03)
    assert len(world.beats) == sent


@pytest.mark.parametrize(
    ("details", "by_the_run", "at_all", "unknown"),
    [
        (None, False, False, False),
        (ActivityCancellationDetails(cancel_requested=True), True, True, False),
        (ActivityCancellationDetails(worker_shutdown=True), False, True, False),
        (ActivityCancellationDetails(timed_out=True), False, True, False),
        (ActivityCancellationDetails(not_found=True), False, True, True),
        (ActivityCancellationDetails(cancel_requested=True, not_found=True), True, True, True),
    ],
)
async def test_an_attempt_knows_who_asked_for_its_end(
    world: World, details: ActivityCancellationDetails | None, by_the_run: bool, at_all: bool, unknown: bool
) -> None:
    started = asyncio.Event()

    async def cancelled() -> tuple[bool, bool, bool]:
        try:
            started.set()
            await asyncio.sleep(0 if details is None else 5)
        except asyncio.CancelledError:
            pass
        return cancelled_by_the_run(), cancelled_at_all(), engine_knows_it_no_more()

    attempt = asyncio.create_task(world.env.run(cancelled))
    await started.wait()
    if details is not None:
        world.env.cancel(details)
    assert await attempt == (by_the_run, at_all, unknown)
