"""A review is made on the worker's own loop only where it is known to be brief; every other one gets a thread."""

import threading
import time
from collections.abc import Callable

import pytest

from activities import brief
from activities.brief import MOST_CALLS, MOST_CHARACTERS, BriefReviews
from backstay.contracts.policy import PolicyCall
from backstay.kernel.sourcing import Sourcing
from backstay.kernel.verdict import Verdict
from backstay.tools.facts import NAMED_BY_USER, NAMED_WEAKLY

from .world import World, proposed


class Watched:
    """A world with one plain tool, of which no rule reads a fact; tells which calls were judged on the loop."""

    def __init__(self) -> None:
        self.world = World()
        self.world.tool.plain = True
        self.world.gate.read = frozenset()
        self.on_loop: list[bool] = []
        self.slow: Callable[[], None] = lambda: None
        judged, loop = self.world.gate.judge, threading.current_thread()

        def judge(call: PolicyCall) -> Verdict:
            self.on_loop.append(threading.current_thread() is loop)
            self.slow()
            return judged(call)

        self.world.gate.judge = judge

    async def review(self, arguments: str = '{"amount": 5}', calls: int = 1) -> list[bool]:
        """Reviews calls with these arguments; tells of each whether that was on the loop."""
        self.on_loop.clear()
        await self.world.authorized(*(proposed(arguments=arguments, call_id=f"1-{n}") for n in range(calls)))
        return list(self.on_loop)


@pytest.fixture
async def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """A world that has seen that the agent's rules are quick, however slow the machine is."""
    monkeypatch.setattr(brief, "MOST_SECONDS", 0.05)
    found = Watched()
    assert await found.review() == [False]
    return found


async def test_a_short_call_of_a_plain_tool_needs_no_thread_once_the_rules_were_quick(watched: Watched) -> None:
    assert await watched.review() == [True]
    assert await watched.review(calls=MOST_CALLS) == [True] * MOST_CALLS


async def test_long_arguments_and_many_calls_get_a_thread(watched: Watched) -> None:
    assert await watched.review(f'{{"note": "{"x" * MOST_CHARACTERS}"}}') == [False]
    assert await watched.review(calls=MOST_CALLS + 1) == [False] * (MOST_CALLS + 1)
    assert await watched.review() == [True]


async def test_a_tool_that_reads_its_arguments_by_functions_of_the_agent_gets_a_thread(watched: Watched) -> None:
    watched.world.tool.plain = False
    assert await watched.review() == [False]


@pytest.mark.parametrize("fact", [NAMED_BY_USER, NAMED_WEAKLY, "country"])
async def test_a_fact_that_a_rule_reads_is_found_in_a_thread(watched: Watched, fact: str) -> None:
    watched.world.admit(facts={"country": "String"})
    watched.world.gate.read = frozenset({fact})
    assert await watched.review() == [False]


async def test_a_meter_of_the_agent_is_read_in_a_thread(watched: Watched) -> None:
    watched.world.admit(exposure=["eur"])
    watched.world.tool.adds = lambda values: {"eur": "1"}
    assert await watched.review() == [False]


async def test_rules_that_were_slow_get_a_thread_until_they_were_quick_again(watched: Watched) -> None:
    def slow() -> None:
        began = time.thread_time()
        while time.thread_time() - began < 0.06:
            pass

    watched.slow = slow
    assert await watched.review() == [True]
    assert await watched.review() == [False]
    watched.slow = lambda: None
    assert await watched.review() == [False]
    assert await watched.review() == [True]


async def test_an_unknown_tool_and_an_agent_that_was_never_reviewed_get_a_thread(watched: Watched) -> None:
    world = watched.world
    reviews = BriefReviews(world.catalog, world.gate)
    assert not reviews.has(world.question(), [proposed()])
    with reviews.timed("clerk"):
        assert not reviews.has(world.question(), [proposed()])
    assert reviews.has(world.question(), [proposed()])
    assert not reviews.has(world.question(), [proposed("refund")])


async def test_where_values_come_from_is_found_in_a_thread(watched: Watched) -> None:
    world = watched.world
    reviews = BriefReviews(world.catalog, world.gate)
    with reviews.timed("clerk"):
        pass
    assert reviews.has(world.question(), [proposed()])
    world.gate.known = Sourcing()
    assert not reviews.has(world.question(), [proposed()])
