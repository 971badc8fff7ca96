"""The ladder of models: a cheaper one near the limit, and others where the first is not to be had."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from backstay.errors import ConfigurationError
from backstay.testing import Call, Failure, Reply, Usage

if TYPE_CHECKING:
    from tests.workflow.conftest import Opener

MODELS = """
[model]
name = "gpt-5-mini"
near_limit = "gpt-5-nano"
fallback = [{ name = "dear", price = { input = "900", output = "900" } }, "gpt-4.1-mini", "gpt-4.1-nano"]
give_up_after = "2s"
[budget]
usd = "0.05"
conclude_at = 50
"""
NO_ROOM = "no tool can be called any more"


def asked(shop: Any) -> list[str]:
    """The models that were asked, in turn."""
    return [str(request.body["model"]) for request in shop.model.requests]


async def test_near_the_limit_a_cheaper_model_is_asked_at_its_own_price(workshop: Opener) -> None:
    def keen(request: Any) -> Reply:
        if NO_ROOM in request.raw.decode():
            return Reply("what was done", usage=Usage(1_000, 100))
        return Reply(calls=[Call("note", {"text": str(request.index)})], usage=Usage(10_000, 100))

    async with workshop([keen] * 40, MODELS) as shop:
        handle = await shop.start(budget={"usd": "0.02"})
        result = await shop.result(handle)
        models = asked(shop)
        dear, cheap = models.count("gpt-5-mini"), models.count("gpt-5-nano")
        assert models == ["gpt-5-mini"] * dear + ["gpt-5-nano"] * cheap
        assert (result.stop_reason, result.answer) == ("budget_exhausted", "what was done")
        assert cheap > dear > 0
        # The provider's own books, at 0.25 and 2 USD for the first model, 0.05 and 0.40 for the second.
        bill = dear * (10_000 * Decimal("0.25") + 100 * 2)
        bill += (cheap - 1) * (10_000 * Decimal("0.05") + 100 * Decimal("0.4")) + 1_000 * Decimal("0.05") + 40
        assert Decimal(result.spent.usd) == bill / 1_000_000 <= Decimal("0.02")
        nano = result.models["gpt-5-nano"]
        assert (list(result.models), nano.model_calls, result.spent.model_calls) == (
            ["gpt-5-nano"],
            cheap,
            dear + cheap,
        )
        assert Decimal(result.spent.usd) - Decimal(nano.usd) == dear * (10_000 * Decimal("0.25") + 200) / 1_000_000
        [changed] = await shop.audit(handle, "model_changed")
        assert (changed["model"], changed["why"]) == ("gpt-5-nano", "near_limit")


async def test_where_a_model_is_not_to_be_had_the_next_that_fits_is_asked(workshop: Opener) -> None:
    def moody(request: Any) -> Any:
        if request.body["model"] == "gpt-4.1-nano":
            return Reply("here", usage=Usage(500, 10))
        return Failure(404)

    async with workshop([moody] * 9, MODELS) as shop:
        handle = await shop.start()
        result = await shop.result(handle)
        assert (result.stop_reason, result.answer) == ("completed", "here")
        assert asked(shop) == ["gpt-5-mini", "gpt-4.1-mini", "gpt-4.1-nano"]
        assert [one["why"] for one in await shop.audit(handle, "model_changed")] == ["fallback", "fallback"]
    async with workshop([Failure(404)] * 9, MODELS) as shop:
        error = await shop.failure(await shop.start())
        assert error.type == "ModelUnavailable"
        assert asked(shop) == ["gpt-5-mini", "gpt-4.1-mini", "gpt-4.1-nano"]


async def test_near_the_limit_no_model_is_asked_that_is_dearer_than_the_one_fallen_back_to(workshop: Opener) -> None:
    def keen(request: Any) -> Any:
        if request.body["model"] == "gpt-5-mini":
            return Failure(404)
        if NO_ROOM in request.raw.decode():
            return Reply("what was done", usage=Usage(1_000, 100))
        return Reply(calls=[Call("note", {"text": str(request.index)})], usage=Usage(10_000, 100))

    between = """
[model]
name = "gpt-5-mini"
near_limit = { name = "between", price = { input = "0.20", output = "1.60" } }
fallback = ["gpt-5-nano"]
give_up_after = "2s"
[budget]
usd = "0.05"
conclude_at = 50
"""
    async with workshop([keen] * 60, between) as shop:
        handle = await shop.start(budget={"usd": "0.02"})
        result = await shop.result(handle)
        assert (result.stop_reason, result.answer) == ("budget_exhausted", "what was done")
        assert set(asked(shop)) == {"gpt-5-mini", "gpt-5-nano"}
        assert [one["why"] for one in await shop.audit(handle, "model_changed")] == ["fallback"]
        assert await shop.audit(handle, "concluding"), "the limit came near"


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('[model]\nname = "gpt-5-nano"\nnear_limit = "gpt-5-mini"\n', "`gpt-5-mini` may cost more than `gpt-5-nano`"),
        ('[model]\nname = "gpt-5-mini"\nnear_limit = "no-such"\n', "the price of `no-such` is unknown"),
        ('[model]\nname = "gpt-5-mini"\nfallback = ["no-such"]\n', "`model.fallback`: the price of `no-such`"),
    ],
)
async def test_a_model_that_may_cost_more_or_whose_price_is_unknown_is_refused_at_load(
    workshop: Opener, toml: str, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        async with workshop([Reply("done")], toml):
            pass
