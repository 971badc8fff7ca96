"""The meter passes requests on, bills both sides alike, and ends a loop that wants too many calls."""

import openai
import pytest

from backstay.compare.meter import GOVERNED, LOOP, Meter, Upstream
from backstay.kernel.price import Price, Tier
from backstay.testing import Failure, Reply, ScriptedModel, Usage

PRICE = Price((Tier(0, 250_000, 25_000, 2_000_000),))
REPLY = Reply("done", usage=Usage(1_000, 100, cached_tokens=600))
COST = 1_000 * 0.25 - 600 * 0.225 + 100 * 2.00


async def ask(address: str, goal: str = "do it", times: int = 1) -> None:
    async with openai.AsyncOpenAI(api_key="none", base_url=address, max_retries=0) as client:
        for _ in range(times):
            await client.chat.completions.create(model="any", messages=[{"role": "user", "content": goal}])


async def test_both_sides_are_billed_by_what_the_server_reports() -> None:
    async with ScriptedModel(default=REPLY) as model, Meter(Upstream(model.base_url, PRICE), 9) as meter:
        await ask(meter.base_url(LOOP), times=2)
        async with openai.AsyncOpenAI(api_key="none", base_url=meter.base_url(GOVERNED)) as client:
            await client.responses.create(model="any", input="do it")
        assert meter.bill(LOOP, ["do it"]).so_far == (COST, 2 * COST)
        assert meter.bill(GOVERNED, ["do it"]).micros == COST


async def test_a_bill_is_that_of_the_goals_asked_for_also_where_a_runtime_added_a_note_to_one() -> None:
    async with ScriptedModel(default=REPLY) as model, Meter(Upstream(model.base_url, PRICE), 9) as meter:
        await ask(meter.base_url(GOVERNED), "do it\n\n(a note)")
        await ask(meter.base_url(GOVERNED), "another goal")
        assert len(meter.bill(GOVERNED, ["do it"]).so_far) == 1


async def test_the_loop_gets_no_more_than_its_calls_and_a_governed_run_any_number() -> None:
    async with ScriptedModel(default=REPLY) as model, Meter(Upstream(model.base_url, PRICE), 3) as meter:
        with pytest.raises(openai.BadRequestError, match="after 3 model calls"):
            await ask(meter.base_url(LOOP), times=4)
        await ask(meter.base_url(LOOP), "another goal", times=3)
        await ask(meter.base_url(GOVERNED), times=5)
        assert (meter.cut_off("do it"), meter.cut_off("another goal")) == (True, False)
        assert len(meter.bill(LOOP, ["do it"]).so_far) == 3
        assert len(model.requests) == 11


async def test_what_the_server_refuses_is_passed_on_and_not_billed() -> None:
    refusal = Failure(429, "slow down")
    async with ScriptedModel(default=refusal) as model, Meter(Upstream(model.base_url, PRICE), 3) as meter:
        with pytest.raises(openai.RateLimitError, match="slow down"):
            await ask(meter.base_url(LOOP))
        assert meter.bill(LOOP, ["do it"]).so_far == ()


async def test_a_server_that_is_not_there_is_an_error_of_the_server() -> None:
    async with Meter(Upstream("http://127.0.0.1:9/v1", PRICE), 3) as meter:
        with pytest.raises(openai.InternalServerError, match="does not answer"):
            await ask(meter.base_url(LOOP))
