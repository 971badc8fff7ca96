"""Soft landing and grants where an organisation limits many runs together: nothing goes beyond what was drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backstay.contracts import names
from backstay.contracts.ledger import LedgerView
from backstay.kernel.keys import ledger_id
from backstay.kernel.ledger_sums import Sum
from backstay.kernel.money import parse_usd
from backstay.testing import Attempts, Call, Failure, Reply, Usage

from .resets import reset

if TYPE_CHECKING:
    from tests.workflow.conftest import Opener, Workshop

LAST = Reply("done: some payments; open: the rest", usage=Usage(900, 40))
PAY = '''
@tool(effect="write", cost="0.02")
def pay(order: str) -> str:
    """Pays an order."""
    return "paid"
'''
ASKING = """
[model]
max_output_tokens = 100
[budget]
usd = "0.50"
on_exhausted = "ask"
[approval]
budget = "finance"
groups = { finance = ["olga"] }
"""


@pytest.fixture
def tenant(tmp_path: Path) -> str:
    return f"acme {tmp_path.name}"


@pytest.fixture
def org(tmp_path: Path, tenant: str) -> Any:
    """Writes limits of the test's own tenant, and returns the settings that use them."""

    def written(limits: str) -> dict[str, Any]:
        folder = tmp_path / "org"
        folder.mkdir()
        (folder / "org.toml").write_text(f'[limits.tenants."{tenant}"]\n{limits}\n')
        return {"policies": [folder]}

    return written


def keen(request: Any) -> Reply:
    """A model that pays as long as it may call tools, and answers where it may not."""
    if request.body.get("tools"):
        return Reply(calls=[Call("pay", {"order": str(request.index)})], usage=Usage(2_000, 50))
    return LAST


async def today(shop: Workshop, tenant: str, quantity: str) -> Sum:
    """Returns what is spent and held today in the tenant's books."""
    answer: Any = await shop.runtime.client.get_workflow_handle(ledger_id(tenant)).query(names.BOOKS)
    books = LedgerView.model_validate(answer).books
    return books.sums.at("tenant", quantity, max(key for key in books.ends if len(key) == len("2026-11-30")))


@pytest.mark.parametrize(
    ("quantity", "limits", "budget", "more"),
    [
        ("usd", 'usd = { day = "0.10" }', {"usd": "0.05"}, {"usd": "0.45"}),
        ("usd", 'usd = { day = "0.10" }\ndraw = "0.01"', {"usd": "0.05"}, {"usd": "0.45"}),
        ("tokens", "tokens = { day = 30_000 }", {"tokens": 20_000}, {"tokens": 90_000}),
    ],
    ids=["ceiling", "lumps", "tokens"],
)
async def test_a_grant_above_what_its_ledger_has_room_for_lets_a_run_spend_no_more_than_that(
    workshop: Opener, org: Any, tenant: str, quantity: str, limits: str, budget: dict[str, Any], more: dict[str, Any]
) -> None:
    async with workshop([Reply(calls=[Call("gate", {})]), *[keen] * 40], ASKING, PAY, **org(limits)) as shop:
        handle = await shop.start(tenant=tenant, budget=budget)
        await shop.effects("at the gate")
        await handle.execute_update("grant", {"by": "olga", "reason": "go on", "budget": more})
        shop.open("gate")
        result = await shop.result(handle)
        # People are asked for more of the run's own budget; no yes of theirs would make room in the day.
        assert (result.stop_reason, result.stop_detail) == ("budget_exhausted", f"{quantity}:tenant:day")
        assert not await shop.audit(handle, "approval_opened")
        assert result.answer == LAST.text
        spent = {"usd": parse_usd(result.spent.usd), "tokens": result.spent.input_tokens + result.spent.output_tokens}
        assert await today(shop, tenant, quantity) == Sum(spent[quantity], 0)
        first, most = {"usd": (50_000, 100_000), "tokens": (20_000, 30_000)}[quantity]
        assert first < spent[quantity] <= most
        drawn = sum(one["amounts"].get(quantity, 0) for one in await shop.audit(handle, "drawn"))
        assert spent[quantity] <= drawn <= most


async def test_a_run_that_could_not_begin_draws_once_people_have_granted_it_more(
    workshop: Opener, org: Any, tenant: str
) -> None:
    async with workshop([Reply("done", usage=Usage(500, 50))], ASKING, **org('usd = { day = "1.00" }')) as shop:
        handle = await shop.start(tenant=tenant, budget={"usd": "0.0001"})

        async def asked() -> bool:
            return bool((await handle.query("status"))["pending_approvals"])

        await shop.until(asked)
        assert not await shop.audit(handle, "drawn")
        await handle.execute_update("grant", {"by": "olga", "reason": "begin", "budget": {"usd": "0.20"}})
        result = await shop.result(handle)
        assert result.stop_reason == "completed"
        [drawn] = await shop.audit(handle, "drawn")
        assert drawn["amounts"] == {"usd": 200_100, "tokens": 200_000, "runs": 1}
        assert await today(shop, tenant, "usd") == Sum(parse_usd(result.spent.usd), 0)


async def test_a_call_that_people_made_room_for_is_drawn_for_before_it_is_made(
    workshop: Opener, org: Any, tenant: str
) -> None:
    two = Reply(calls=[Call("pay", {"order": "a"}), Call("pay", {"order": "b"})], usage=Usage(500, 50))
    settings = org('usd = { day = "0.06" }\ndraw = "0.01"')
    async with workshop([two, Reply("done", usage=Usage(600, 9))], ASKING, PAY, **settings) as shop:
        handle = await shop.start(tenant=tenant, budget={"usd": "0.03"})

        async def asked() -> list[Any]:
            return (await handle.query("status"))["pending_approvals"]

        await shop.until(asked)
        [card] = await asked()
        assert (card["kind"], card["args"]["dimension"], card["args"]["asked"]) == ("budget", "usd", "0.015")
        await handle.execute_update("approve", {"approval_id": card["approval_id"], "by": "olga"})
        result = await shop.result(handle)
        assert (result.stop_reason, result.spent.tools, result.budget.usd) == ("completed", {"pay": 2}, "0.045")
        assert await today(shop, tenant, "usd") == Sum(parse_usd(result.spent.usd), 0)
        held = [(one["usd"], one["call_id"]) for one in await shop.audit(handle, "call_held")]
        assert held == [(20_000, "1-0"), (20_000, "1-1")]


FEE = '''
@tool(effect="write", cost="0.005")
def fee(order: str) -> str:
    """Pays a small fee."""
    return "paid"
'''


async def test_of_the_calls_of_a_decision_those_go_on_that_the_day_has_room_for(
    workshop: Opener, org: Any, tenant: str
) -> None:
    calls = [
        Call("pay", {"order": "a"}),
        Call("pay", {"order": "b"}),
        Call("pay", {"order": "c"}),
        Call("fee", {"order": "d"}),
    ]
    script = [Reply(calls=calls, usage=Usage(500, 50)), LAST]
    settings = org('usd = { day = "0.055" }\ndraw = "0.001"')
    async with workshop(script, ASKING.replace('"ask"', '"stop"'), PAY + FEE, **settings) as shop:
        handle = await shop.start(tenant=tenant)
        result = await shop.result(handle)
        assert (result.stop_reason, result.stop_detail) == ("budget_exhausted", "usd:tenant:day")
        assert result.spent.tools == {"pay": 2, "fee": 1}
        assert result.answer == LAST.text
        [short] = await shop.audit(handle, "budget_short")
        assert (short["call"], short["needed"]) == ("pay", 20_000)
        assert short["left"] < 20_000
        assert await today(shop, tenant, "usd") == Sum(parse_usd(result.spent.usd), 0)


async def test_a_run_that_was_reset_and_needs_more_draws_no_more_than_the_day_has(
    workshop: Opener, org: Any, tenant: str
) -> None:
    one, three = ([Call("pay", {"order": order}) for order in orders] for orders in ("a", "abc"))
    script = [
        Attempts(Reply(calls=one, usage=Usage(500, 50)), Reply(calls=three, usage=Usage(500, 50))),
        Attempts(Reply(calls=[Call("gate", {})]), LAST),
    ]
    settings = org('usd = { day = "0.055" }\ndraw = "0.001"')
    async with workshop(script, ASKING.replace('"ask"', '"stop"'), PAY, **settings) as shop:
        handle = await shop.start(tenant=tenant)
        await shop.effects("at the gate")
        again = await reset(shop.runtime.client, handle, "decide-1")
        result = await shop.result(again)
        # What it drew before the reset stays held to its end: there is room for one call more.
        assert (result.stop_detail, result.spent.tools) == ("usd:tenant:day", {"pay": 1})
        assert await today(shop, tenant, "usd") == Sum(parse_usd(result.spent.usd), 0)


async def test_another_model_is_drawn_for_at_its_own_price(workshop: Opener, org: Any, tenant: str) -> None:
    models = '[model]\nname = "gpt-5-nano"\nfallback = ["gpt-5-mini"]\nmax_output_tokens = 500\ngive_up_after = "2s"\n'

    def moody(request: Any) -> Any:
        return Reply("here", usage=Usage(500, 10)) if request.body["model"] == "gpt-5-mini" else Failure(404)

    async with workshop([moody] * 4, models, **org('usd = { day = "1.00" }\ndraw = "0.0001"')) as shop:
        handle = await shop.start(tenant=tenant)
        result = await shop.result(handle)
        assert (result.stop_reason, result.answer) == ("completed", "here")
        first, second = await shop.audit(handle, "drawn")
        nano, mini = await shop.audit(handle, "decision_held")
        assert nano["amount"]["usd"] < mini["amount"]["usd"]
        assert first["amounts"]["usd"] == nano["amount"]["usd"] + nano["last_answer"]["usd"]
        assert first["amounts"]["usd"] + second["amounts"]["usd"] == mini["amount"]["usd"] + mini["last_answer"]["usd"]
        assert await today(shop, tenant, "usd") == Sum(parse_usd(result.spent.usd), 0)
