"""Time limits of tools: a read is tried again, an effect is not, and nobody else is held up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from backstay.testing import Call, Reply

if TYPE_CHECKING:
    from tests.workflow.conftest import Opener

DONE = Reply("done")
LAZY = '''

@tool(effect="read", timeout="1s")
def trickle() -> list[int]:
    """Returns numbers that are only made while they are read."""
    def numbers():
        for number in range(30):
            time.sleep(0.1)
            yield number
    return numbers()
'''


async def test_a_read_that_takes_too_long_is_tried_again_and_then_failed(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("slow_read"), Call("echo", {"text": "good"})]), DONE]) as shop:
        assert (await shop.run()).status == "completed"
        assert shop.lines() == ["tried"] * 3
        assert [text for _, text in shop.answers()] == ["failed: the call timed out", "good"]


async def test_a_thread_that_never_returns_holds_up_nobody(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("stuck_read")]), DONE]) as shop:
        assert (await shop.run()).status == "completed"
        assert shop.lines() == ["tried"] * 3
        assert [text for _, text in shop.answers()] == ["failed: the call timed out"]


async def test_an_effect_that_takes_too_long_is_tried_once_and_unknown(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("slow_once"), Call("note", {"text": "sibling"})]), DONE]) as shop:
        handle = await shop.start()
        result = await shop.result(handle)
        assert (result.stop_reason, result.stop_detail) == ("outcome_unknown", "slow_once")
        assert sorted(shop.lines()) == ["sibling", "tried"]
        statuses = [item["status"] for item in await shop.transcript(handle, "result")]
        assert statuses == ["unknown", "completed"]


async def test_a_tool_that_outlives_its_limit_but_ends_is_taken_at_its_word(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("deaf_once", {"seconds": 1})]), DONE]) as shop:
        assert (await shop.run()).status == "completed"
        assert [text for _, text in shop.answers()] == ["finished all the same"]


async def test_a_tool_that_never_listens_is_given_up_by_the_engine(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("deaf_once", {"seconds": 25})]), DONE]) as shop:
        result = await shop.run()
        assert (result.stop_reason, result.stop_detail) == ("outcome_unknown", "deaf_once")


async def test_a_result_that_is_made_while_it_is_read_is_under_the_same_limit(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("trickle")]), DONE], tools=LAZY) as shop:
        began = time.monotonic()
        assert (await shop.run()).status == "completed"
        assert [text for _, text in shop.answers()] == ["failed: the call timed out"]
        assert time.monotonic() - began < 30
