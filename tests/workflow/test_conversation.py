"""The conversation of a run: rebuilt the same by every worker, held once, and no dearer at step 100 than at step 10."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Callable
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
from temporalio import activity
from temporalio.api.history.v1 import HistoryEvent
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from backstay.testing import Call, Reply

if TYPE_CHECKING:
    from tests.workflow.conftest import Handle, Opener, Workshop

APIS = pytest.mark.parametrize("api", ["responses", "chat"])
STEPS = 110 if os.environ.get("BACKSTAY_SOAK") else 36
LONG = """
[budget]
steps = 200
tool_calls = 500
tokens = 100_000_000
usd = "100"
"""

PATIENT = "[stop]\nmalformed = 100\n"
LIVELY = [
    Reply("first I look", calls=[Call("echo", {"text": f"äöü {n}"}) for n in range(3)]),
    Reply(calls=[Call("crash", {"text": "by zero"}), Call("add", {"left": 1, "right": 2}), Call("hammer")]),
    Reply(),
    Reply(calls=[Call("add", '{"left": ')]),
    Reply("cut", calls=[Call("add", {"left": 5, "right": 5})], finish="length"),
    Reply(calls=[Call("huge", {"size": 40_000}), Call("echo", {"text": "after"})]),
    *[Reply(calls=[Call("echo", {"text": str(n)})]) for n in range(3)],
    Reply("done"),
]


async def told(shop: Workshop) -> tuple[list[bytes], list[dict[str, Any]], Handle]:
    """All that the model was sent in a run, and its transcript."""
    handle = await shop.start()
    assert (await shop.result(handle)).answer == "done"
    return [request.raw for request in shop.model.requests], await shop.transcript(handle), handle


async def workers_of(shop: Workshop, handle: Handle) -> set[str]:
    """Returns the workers of a run."""
    return {
        getattr(event, kind).identity
        for event in await shop.events(handle)
        for kind in ("workflow_task_started_event_attributes", "activity_task_started_event_attributes")
        if event.HasField(kind)
    }


@APIS
async def test_workers_that_alternate_say_the_same_as_one_that_remembers(workshop: Opener, api: str) -> None:
    async with workshop(LIVELY, PATIENT, model_api=api) as shop:
        requests, transcript, _ = await told(shop)
    assert len(requests) == len(LIVELY)
    for megabytes in (0, 64):
        async with (
            workshop(LIVELY, PATIENT, model_api=api, worker=False, conversation_cache_mb=megabytes) as shop,
            contextlib.AsyncExitStack() as workers,
        ):
            for name in ("one", "two"):
                await workers.enter_async_context(shop.worker(identity=name, max_cached_workflows=0))
            again, transcript_again, handle = await told(shop)
            assert await workers_of(shop, handle) == {"one", "two"}
            assert again == requests
            assert transcript_again == transcript


class Losing(Interceptor):
    """Loses the results of these attempts at activities; with `late` the first goes on out of sight."""

    def __init__(self, lost: Callable[[activity.Info], bool], late: bool = False) -> None:
        self.lost = lost
        self.late = late
        self.unseen: list[asyncio.Task[Any]] = []

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Losing(next, self)


class _Losing(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, way: Losing) -> None:
        super().__init__(next)
        self.way = way

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        attempt = asyncio.create_task(super().execute_activity(input))
        if not self.way.lost(info):
            return await attempt
        if self.way.late and info.attempt == 1:
            self.way.unseen.append(attempt)
            await asyncio.sleep(0.3)
        elif self.way.late:
            attempt.cancel()
        else:
            await attempt
        raise ApplicationError("the reply is lost", next_retry_delay=timedelta(milliseconds=300))


def first(info: activity.Info) -> bool:
    """The first attempts at what decides and acts."""
    return info.attempt == 1 and info.activity_type in ("decide", "act")


def second_step(info: activity.Info) -> bool:
    """Every attempt at the second decision that the budget covers."""
    return info.activity_id == "decide-2" and info.attempt <= 3


async def test_what_is_asked_again_is_asked_in_the_same_words(workshop: Opener) -> None:
    script = [*LIVELY[:2], LIVELY[-1]]
    async with workshop(script) as shop:
        requests, transcript, _ = await told(shop)
    async with workshop(script, worker=False) as shop, shop.worker(interceptors=[Losing(first)]):
        again, transcript_again, _ = await told(shop)
    assert again == [request for request in requests for _ in range(2)]
    assert transcript_again == transcript


# Two that say the same, so that the one before the lost one is mistaken for it.
SAME = [Reply(), Reply(), Reply(), Reply("done")]
# The lost reply arrives while the third decision is being asked for, which is told one note more.
LATE = [*(Reply(calls=[Call("echo", {"text": str(n)})], delay=4 * min(n, 1)) for n in range(3)), Reply("done")]
_SECONDS = re.compile(rb"[0-9]+ of 900 seconds")
CONCLUDING = "[budget]\nsteps = 4\nconclude_at = 50\n"


@pytest.mark.parametrize(("script", "toml", "late"), [(SAME, PATIENT, False), (LATE, CONCLUDING, True)])
async def test_a_decision_that_was_lost_is_in_no_conversation(
    workshop: Opener, script: list[Reply], toml: str, late: bool
) -> None:
    said: list[Any] = []
    for megabytes in (0, 64):
        lossy = Losing(second_step, late)
        async with (
            workshop(script, toml, worker=False, conversation_cache_mb=megabytes) as shop,
            shop.worker(interceptors=[lossy]),
        ):
            assert (await shop.run()).answer == "done"
            said.append(_SECONDS.sub(b"some", shop.model.requests[-1].raw))
            assert len(lossy.unseen) == late
            assert all(attempt.done() for attempt in lossy.unseen)
    assert said[0] == said[1]


async def test_a_run_goes_on_with_another_worker(workshop: Opener) -> None:
    script = [*LIVELY[:2], Reply(calls=[Call("gate", {"name": "open"})]), *LIVELY[2:]]
    async with workshop(script, PATIENT, worker=False, shutdown_seconds=0.1) as shop:
        async with shop.runtime.serving(identity="one"):
            handle = await shop.start()
            await shop.effects("at the gate")
        shop.open("open")
        async with shop.runtime.serving(identity="two"):
            assert (await shop.result(handle)).answer == "done"
            assert await workers_of(shop, handle) == {"one", "two"}
        assert len(shop.model.requests) == len(script)


async def test_the_history_holds_each_item_of_the_conversation_once(workshop: Opener) -> None:
    goal, result, words, arguments = "canary-goal-0", "canary-result-1", "canary-words-2", "canary-arguments-3"
    script = [
        Reply(words, calls=[Call("echo", {"text": "x" * 100 + arguments})]),
        Reply(calls=[Call("count"), Call("mark", {"text": result})]),
        Reply(calls=[Call("echo", {"text": "y"})]),
        Reply("done"),
    ]
    async with workshop(script) as shop:
        handle = await shop.start(goal=goal)
        assert (await shop.result(handle)).status == "completed"
        history = b"".join(event.SerializeToString() for event in await shop.events(handle))
        assert history.count(goal.encode()) == 1
        assert history.count(words.encode()) == 1
        # Of the arguments this tool gives back, the history holds the call and the result.
        assert history.count(arguments.encode()) == 2
        assert history.count(f"<{result[::-1]}>".encode()) == 1


async def long_run(shop: Workshop) -> list[list[HistoryEvent]]:
    """The events of each step of a run with one call per decision."""
    handle = await shop.start()
    assert (await shop.result(handle)).steps == STEPS
    steps: list[list[HistoryEvent]] = []
    for event in await shop.events(handle):
        if activity_id(event).startswith("decide-"):
            steps.append([])
        if steps:
            steps[-1].append(event)
    assert len(steps) == STEPS
    return steps


def activity_id(event: HistoryEvent) -> str:
    return event.activity_task_scheduled_event_attributes.activity_id


def size_of(step: list[HistoryEvent]) -> int:
    return sum(event.ByteSize() for event in step)


def given(step: list[HistoryEvent], kind: str) -> int:
    """The size of what an activity of a step was given."""
    [scheduled] = [event for event in step if activity_id(event).startswith(f"{kind}-")]
    return len(scheduled.activity_task_scheduled_event_attributes.input.payloads[0].data)


async def test_a_late_step_costs_no_more_history_than_an_early_one(workshop: Opener) -> None:
    script = [Reply("thinking", calls=[Call("mark", {"text": f"{n:05}" * 20})]) for n in range(STEPS - 1)]
    async with workshop([*script, Reply("done")], LONG) as shop:
        steps = await long_run(shop)
    # Where a busy machine took its time to judge, the verdict is asked for by an activity of its own.
    assert max(len(step) for step in steps[:-1]) <= 20
    assert median(len(step) for step in steps[:-1]) <= 12
    early, late = steps[5:15], steps[-12:-2]
    assert abs(median(map(size_of, early)) - median(map(size_of, late))) <= 64
    for kind in ("decide", "act"):
        sizes = [given(step, kind) for step in steps[1:-1]]
        assert max(sizes) - min(sizes) <= 32, kind  # the digits of numbers that grow
        assert max(sizes) < 1_000, kind
