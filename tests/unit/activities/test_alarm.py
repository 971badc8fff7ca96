"""An alarm in the middle of a call: the log has its words, breakers learn of it at once, without them."""

import logging
import threading

import pytest

from activities.alarm import ALARM_CHARACTERS
from backstay.kernel.breaker import ReportKind
from backstay.tools import ToolCall

from .world import World


async def handed(world: World) -> ToolCall:
    return (await world.prepared(await world.handed())).call


async def test_breakers_learn_at_once_that_there_is_an_alarm_and_not_what_it_says(world: World) -> None:
    (await handed(world)).raise_alarm("the till does not add up")
    [told] = world.reports.told
    assert (told.kind, told.agent, told.tenant, told.tool, told.good) == (ReportKind.ALARM, "clerk", "acme", "pay", 0)
    assert told.model == world.history.openings[next(iter(world.history.openings))].admission.model.name
    assert [(one.run, one.reasons) for one in told.failed] == [("refund-A17", ("alarm",))]
    assert "till" not in repr(told)


async def test_the_log_has_its_words_on_one_line_without_secrets(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        (await handed(world)).raise_alarm("canary-4242 is\n\x1b[31m  lost")
    [line] = [record.getMessage() for record in caplog.records]
    assert "the tool `pay` of the agent `clerk` raises an alarm in the run refund-A17: " in line
    assert "[secret SHOP_TOKEN] is \\u001b[31m lost" in line


async def test_a_secret_that_the_limit_would_cut_in_two_is_found_before_the_cut(world: World) -> None:
    ready = await world.prepared(await world.handed())
    ready.call.raise_alarm("x" * (ALARM_CHARACTERS - 6) + "canary-4242 and more")
    assert ready.alarm.words is not None
    assert len(ready.alarm.words) == ALARM_CHARACTERS
    assert "canar" not in ready.alarm.words


@pytest.mark.parametrize("reason", ["", " \n\t"])
async def test_an_alarm_without_a_reason_is_one_all_the_same(world: World, reason: str) -> None:
    ready = await world.prepared(await world.handed())
    ready.call.raise_alarm(reason)
    assert ready.alarm.words == "no reason given"
    assert len(world.reports.told) == 1


async def test_an_attempt_has_one_alarm_however_often_it_is_raised_and_from_whichever_thread(world: World) -> None:
    ready = await world.prepared(await world.handed())
    thread = threading.Thread(target=ready.call.raise_alarm, args=("first",))
    thread.start()
    thread.join()
    for number in range(100):
        ready.call.raise_alarm(f"again {number}")
    assert ready.alarm.words == "first"
    assert len(world.reports.told) == 1


async def test_a_call_without_an_alarm_tells_nobody(world: World) -> None:
    assert (await world.prepared(await world.handed())).alarm.words is None
    assert world.reports.told == []
