"""Ledgers and runs over many links: books that are lost come back from all of them, and a run is one run."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backstay.adapters.engine.ledger_runs import LedgerRuns
from backstay.contracts import names
from backstay.contracts.ledger import LedgerView
from backstay.kernel.keys import run_key
from backstay.kernel.ledger import Holder
from backstay.kernel.ledger_sums import Sum
from backstay.kernel.money import parse_usd
from backstay.testing import Reply

from .refund_shop import ended, once, refunds

if TYPE_CHECKING:
    from temporalio.client import WorkflowHandle

    from .refund_shop import Opener, Shop

STEPS = [Reply(calls=refunds(1, 20 + number)) for number in range(3)]
REFUNDED = sum(20 + number for number in range(3))
ORG = '[limits.tenants.TENANT]\nusd = { day = "10" }\n'


async def usd(shop: Shop) -> Sum:
    """What the ledger has spent and holds today."""
    answer: Any = await shop.ledger().query(names.BOOKS)
    books = LedgerView.model_validate(answer).books
    day = max((key for key in books.ends if len(key) == len("2026-11-30")), default="")
    return books.sums.at("tenant", "usd", day)


async def links(shop: Shop, handle: WorkflowHandle[Any, Any]) -> list[str]:
    """The run ids of a chain as far as the engine's list shows them, the first one first."""
    listed = shop.runtime.client.list_workflows(f"WorkflowId = '{handle.id}'")
    return [one.run_id for one in sorted([one async for one in listed], key=lambda one: one.start_time)]


async def test_a_ledger_that_was_terminated_comes_back_with_what_all_links_of_its_runs_hold(shop: Opener) -> None:
    scripts = {
        "done": [*STEPS, Reply("done")],
        "open": [*STEPS, Reply(calls=[once(5, "waits")]), Reply("done")],
        "other": [Reply("done")],
    }
    async with shop(scripts, org=ORG, link_events=24) as open_shop:
        waits, over = await open_shop.start("open"), await open_shop.start("done")
        done = await ended(over)

        async def all_counted() -> bool:
            spent, held = await open_shop.day()
            return int(spent) + int(held) == 2 * REFUNDED + 5

        await open_shop.until(all_counted)
        assert min([len(await links(open_shop, one)) for one in (waits, over)]) > 2
        before = await usd(open_shop)
        await open_shop.ledger().terminate("by hand")
        other = parse_usd((await open_shop.result("other")).spent.usd)
        assert await all_counted()
        assert await usd(open_shop) == replace(before, spent=before.spent + other)
        open_shop.gate.touch()
        spent = parse_usd((await ended(waits)).spent.usd)
        assert await open_shop.day() == (str(2 * REFUNDED + 5), "0")
        assert await usd(open_shop) == Sum(parse_usd(done.spent.usd) + spent + other, 0)


async def test_a_run_whose_first_link_the_engine_has_forgotten_is_not_over(shop: Opener) -> None:
    scripts = [*STEPS, Reply(calls=[once(5, "waits")]), Reply("done")]
    async with shop(scripts, link_events=24) as open_shop:
        handle = await open_shop.start()

        async def later() -> bool:
            return len(open_shop.books) == len(STEPS) and len(await links(open_shop, handle)) > 1

        await open_shop.until(later)
        first, *_ = await links(open_shop, handle)
        client = open_shop.runtime.client
        forgotten = str(uuid.uuid4())  # the engine knows no execution of this run id
        holder = Holder(run_key(client.namespace, handle.id, first), handle.id, forgotten, "shop")
        assert not await LedgerRuns(client).over(holder)
        open_shop.gate.touch()
        result = await ended(handle)
        assert await LedgerRuns(client).over(holder)
        spent = await LedgerRuns(client).spent(holder)
        assert spent is not None
        assert spent["usd"] == parse_usd(result.spent.usd)
