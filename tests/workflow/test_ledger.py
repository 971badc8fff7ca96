"""Limits over many runs: what one tenant, or all of them together, may spend in a day."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from backstay.adapters.agent.limits import OrgLimits
from backstay.adapters.engine.dev_server import dev_server
from backstay.contracts import names
from backstay.contracts.admission import Draws
from backstay.contracts.ledger import LedgerView
from backstay.contracts.run import RunResult
from backstay.kernel.keys import ledger_id
from backstay.kernel.ledger_sums import Sum
from backstay.kernel.money import parse_usd
from backstay.testing import Call, Reply, Usage
from backstay.testing.runtime import LocalRuntime, local_runtime

PATIENCE = 100.0
TOOLS = '''
import asyncio
from pathlib import Path

from backstay.tools import ToolCall, tool

@tool(effect="read")
async def gate(call: ToolCall) -> str:
    """Waits until the gate is opened."""
    while not Path(call.metadata["gate"]).exists():
        await asyncio.sleep(0.05)
    return "open"
'''
NOTE = '\n@tool(effect="read")\ndef note(text: str) -> str:\n    """Notes."""\n    return text\n'
COSTLY = Usage(input_tokens=1_000, output_tokens=1_000)
WAITING = [Reply(calls=[Call("gate", {})]), Reply("done")]

Handle = WorkflowHandle[Any, Any]


class Tenants:
    """A runtime under limits, and eyes on its ledgers."""

    def __init__(self, runtime: LocalRuntime, tenant: str, gate: Path) -> None:
        self.runtime = runtime
        self.tenant = tenant
        self.gate = gate

    async def start(self, **request: Any) -> Handle:
        given = {"goal": "work", "agent": "clerk", "tenant": self.tenant, "metadata": {"gate": str(self.gate)}}
        return await self.runtime.start({**given, **request})

    async def result(self, **request: Any) -> RunResult:
        return await ended(await self.start(**request))

    def ledger(self, tenant: str | None = "") -> Handle:
        return self.runtime.client.get_workflow_handle(ledger_id(self.tenant if tenant == "" else tenant))

    async def books(self, tenant: str | None = "") -> LedgerView:
        answer: Any = await self.ledger(tenant).query(names.BOOKS)
        return LedgerView.model_validate(answer)

    async def usd(self, account: str = "tenant", tenant: str | None = "") -> Sum:
        """Returns what is spent and held today."""
        view = await self.books(tenant)
        day = max((key for key in view.books.ends if len(key) == len("2026-11-30")), default="")
        return view.books.sums.at(account, "usd", day)

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not await holds():
                await asyncio.sleep(0.1)

    async def settled(self, handle: Handle) -> bool:
        """Tells whether a run has paid for its first decision."""
        return (await self.reads(handle, "spent"))["usd"] != "0.00"

    async def reads(self, handle: Handle, field: str) -> Any:
        return (await handle.query(names.STATUS))[field]


async def ended(handle: Handle) -> RunResult:
    return RunResult.model_validate(await asyncio.wait_for(handle.result(), PATIENCE))


async def facts(handle: Handle, event: str) -> list[dict[str, Any]]:
    records = (await handle.query(names.AUDIT))["items"]
    return [record["facts"] for record in records if record["event"] == event]


Opener = Callable[..., contextlib.AbstractAsyncContextManager[Tenants]]


@pytest.fixture
def tenants(client: Client, agent_folder: Callable[..., Path], tmp_path: Path) -> Opener:
    """Opens a runtime with these limits; in them TENANT stands for a tenant of the test's own."""

    @contextlib.asynccontextmanager
    async def opened(
        limits: str, script: Any = None, toml: str = "", tools: str = "", **settings: Any
    ) -> AsyncGenerator[Tenants]:
        tenant = f"acme {tmp_path.name}"
        org = tmp_path / "org"
        org.mkdir(exist_ok=True)
        (org / "org.toml").write_text(limits.replace("TENANT", f'"{tenant}"'))
        agents = agent_folder("clerk", toml, TOOLS + tools)
        settings = {"policies": [org], "client": client, **settings}
        async with local_runtime(script or [Reply("done")], agents=agents, **settings) as runtime:
            yield Tenants(runtime, tenant, tmp_path / "gate")

    return opened


async def test_of_fifty_runs_at_once_exactly_the_twenty_run_that_the_day_covers(tenants: Opener) -> None:
    async with tenants('[limits.tenants.TENANT]\nusd = { day = "10" }\n', WAITING) as shop:
        handles = [await shop.start() for _ in range(50)]

        async def all_decided() -> bool:
            view = await shop.books() if len(shop.runtime.model.requests) >= 20 else None
            closed = [handle for handle in handles if (await handle.describe()).close_time is not None]
            return view is not None and len(closed) == 30

        await shop.until(all_decided)
        assert await shop.usd() == Sum(spent=0, held=parse_usd("10"))
        shop.gate.touch()
        results = [await ended(handle) for handle in handles]
        ends = Counter((one.status, one.stop_reason, one.stop_detail) for one in results)
        assert ends == {("completed", "completed", None): 20, ("stopped", "budget_exhausted", "usd:tenant:day"): 30}
        assert sum(parse_usd(one.spent.usd) for one in results) == (await shop.usd()).spent
        assert (await shop.usd()).held == 0
        refused = next(one for one in results if one.stop_detail)
        assert refused.spent.model_calls == 0
        assert refused.stop_explained is not None
        assert refused.stop_explained.startswith(
            "a hold of 0.50 does not fit: 0.00 USD are left to the tenant this day"
        )


async def test_a_run_without_a_limit_asks_no_ledger(tenants: Opener) -> None:
    async with tenants('[limits.tenants.somebody]\nusd = { day = "0.01" }\n') as shop:
        handle = await shop.start()
        assert (await ended(handle)).stop_reason == "completed"
        types = [
            event.activity_task_scheduled_event_attributes.activity_type.name
            async for event in handle.fetch_history_events()
            if event.HasField("activity_task_scheduled_event_attributes")
        ]
        assert types == ["admit", "decide"]


async def test_what_a_run_spends_that_drew_on_a_worker_without_limits_counts_all_the_same(
    tenants: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tenants('[limits.tenants.TENANT]\nusd = { day = "10" }\n', [Reply("done", usage=COSTLY)] * 2) as shop:
        first = await shop.result()
        monkeypatch.setattr(OrgLimits, "draws", lambda *_: Draws())  # admitted where they were known
        monkeypatch.setattr(OrgLimits, "limits", lambda *_, **__: [])
        second = await shop.result()
        both = parse_usd(first.spent.usd) + parse_usd(second.spent.usd)

        async def counted() -> bool:
            return await shop.usd() == Sum(spent=both)

        await shop.until(counted)


async def told(ledger: Handle) -> dict[str, int]:
    """Counts the updates and signals that a ledger got."""
    found: Counter[str] = Counter()
    async for event in ledger.fetch_history_events():
        found["updates"] += event.HasField("workflow_execution_update_accepted_event_attributes")
        found["signals"] += event.HasField("workflow_execution_signaled_event_attributes")
    return dict(found)


async def test_a_run_costs_its_ledger_an_update_at_its_admission_and_a_signal_at_its_close(tenants: Opener) -> None:
    async with tenants('[limits.tenants.TENANT]\nusd = { day = "10" }\n') as shop:
        await shop.result()  # it may ask a new ledger again until that has read its books
        before = await told(shop.ledger())
        await shop.result()
        after = await told(shop.ledger())
        assert {name: after[name] - before[name] for name in after} == {"updates": 1, "signals": 1}


async def test_each_further_lump_costs_its_ledger_one_update(tenants: Opener) -> None:
    limits = '[limits.tenants.TENANT]\nusd = { day = "10" }\ndraw = "0.01"\n'
    script = [*(Reply(calls=[Call("note", {"text": str(n)})], usage=COSTLY) for n in range(9)), Reply("done")]
    async with tenants(limits, {"": script}, tools=NOTE) as shop:
        await shop.result()
        before = await told(shop.ledger())
        handle = await shop.start()
        await ended(handle)
        drawn = await facts(handle, "drawn")
        after = await told(shop.ledger())
        assert len(drawn) > 1
        assert {name: after[name] - before[name] for name in after} == {"updates": len(drawn), "signals": 1}


async def test_an_agent_within_a_tenant_has_a_limit_of_its_own(tenants: Opener) -> None:
    limits = '[limits.tenants.TENANT]\nusd = { day = "10" }\n[limits.agents.clerk]\nusd = { month = "0.75" }\n'
    async with tenants(limits, WAITING) as shop:
        first = await shop.start()
        await shop.until(lambda: _asked(shop, 1))
        second = await shop.result()
        assert (second.stop_reason, second.stop_detail) == ("budget_exhausted", "usd:agent:month")
        shop.gate.touch()
        assert (await ended(first)).stop_reason == "completed"
        assert await shop.usd("agent:clerk") == await shop.usd()


async def _asked(shop: Tenants, requests: int) -> bool:
    return len(shop.runtime.model.requests) >= requests


async def test_where_the_organisation_refuses_the_tenant_gets_its_hold_back(tenants: Opener) -> None:
    limits = '[limits.organisation]\nusd = { day = "0.50" }\n[limits.tenants.TENANT]\nusd = { day = "10" }\n'
    async with dev_server() as server, tenants(limits, WAITING, client=server.client) as shop:
        first = await shop.start()
        await shop.until(lambda: _asked(shop, 1))
        assert (await shop.result(tenant="other")).stop_detail == "usd:organisation:day"
        assert (await shop.result()).stop_detail == "usd:organisation:day"
        assert (await shop.usd()).held == (await shop.usd("organisation", None)).held == parse_usd("0.50")
        shop.gate.touch()
        await ended(first)
        assert await shop.usd() == await shop.usd("organisation", None)


async def test_a_run_draws_in_lumps_and_ends_where_the_day_has_no_further_one(tenants: Opener) -> None:
    limits = '[limits.tenants.TENANT]\nusd = { day = "0.030" }\ndraw = "0.01"\n'
    script = [Reply(calls=[Call("note", {"text": str(n)})], usage=COSTLY) for n in range(30)]
    async with tenants(limits, script, tools=NOTE) as shop:
        handle = await shop.start()
        result = await ended(handle)
        assert (result.stop_reason, result.stop_detail) == ("budget_exhausted", "usd:tenant:day")
        drawn = await facts(handle, "drawn")
        assert [one["draw"] for one in drawn][:2] == ["reserve-0", "reserve-1"]
        assert sum(one["amounts"]["usd"] for one in drawn) <= parse_usd("0.030")
        assert await shop.usd() == Sum(parse_usd(result.spent.usd), 0)
        assert parse_usd(result.spent.usd) > parse_usd("0.015")


async def test_a_call_that_costs_money_is_drawn_for_before_it_is_made(tenants: Opener) -> None:
    limits = '[limits.tenants.TENANT]\nusd = { day = "0.05" }\ndraw = "0.01"\n'
    pay = '\n@tool(effect="write", cost="0.02")\ndef pay(order: int) -> str:\n    """Pays."""\n    return "paid"\n'
    script = [Reply(calls=[Call("pay", {"order": order})]) for order in range(9)]
    async with tenants(limits, script, "[model]\nmax_output_tokens = 100\n", pay) as shop:
        handle = await shop.start()
        result = await ended(handle)
        assert (result.stop_detail, result.spent.tools) == ("usd:tenant:day", {"pay": 2})
        assert [one["call"] for one in await facts(handle, "budget_short")] == ["pay"]
        assert await shop.usd() == Sum(parse_usd(result.spent.usd), 0)


async def test_reaching_most_of_a_limit_is_told_once(tenants: Opener) -> None:
    async with tenants('[limits.tenants.TENANT]\nusd = { day = "1.00" }\n', WAITING) as shop:
        handles = [await shop.start(budget={"usd": usd}) for usd in ("0.50",)]
        await shop.until(lambda: _asked(shop, 1))
        handles.append(await shop.start(budget={"usd": "0.40"}))
        await shop.until(lambda: _asked(shop, 2))
        handles.append(await shop.start(budget={"usd": "0.05"}))
        await shop.until(lambda: _asked(shop, 3))
        shop.gate.touch()
        for handle in handles:
            await ended(handle)
        told = [[one["crossing"]["name"] for one in await facts(handle, "limit_neared")] for handle in handles]
        assert told == [[], ["usd:tenant:day"], []]


async def test_while_its_ledger_is_silent_a_run_waits_says_why_and_can_be_killed(tenants: Opener) -> None:
    async with tenants('[limits.tenants.TENANT]\nusd = { day = "10" }\n') as shop:
        silent = await shop.runtime.client.start_workflow("Nobody", id=ledger_id(shop.tenant), task_queue="nobody")
        waits, killed = await shop.start(), await shop.start()

        async def in_trouble() -> bool:
            words = f"the ledger of tenant {shop.tenant} does not answer"
            return {await shop.reads(one, "trouble") for one in (waits, killed)} == {words}

        await shop.until(in_trouble)
        await killed.execute_update(names.KILL, {"by": "olga", "reason": "enough"})
        assert (await ended(killed)).stop_reason == "killed"
        await silent.terminate()
        assert (await ended(waits)).stop_reason == "completed"
        assert shop.runtime.model.requests


async def test_a_run_that_is_cancelled_or_killed_gives_back_what_it_did_not_spend(tenants: Opener) -> None:
    async with tenants('[limits.tenants.TENANT]\nusd = { day = "10" }\n', WAITING) as shop:
        cancelled, killed = await shop.start(), await shop.start()
        await shop.until(lambda: _asked(shop, 2))
        await cancelled.cancel()
        await killed.execute_update(names.KILL, {"by": "olga", "reason": "enough"})
        assert (await ended(killed)).stop_reason == "killed"
        with pytest.raises(WorkflowFailureError):
            await asyncio.wait_for(cancelled.result(), PATIENCE)
        spent = [parse_usd((await shop.reads(handle, "spent"))["usd"]) for handle in (cancelled, killed)]
        assert await shop.usd() == Sum(sum(spent), 0)


async def test_a_ledger_that_was_terminated_comes_back_with_the_books_of_its_runs(tenants: Opener) -> None:
    scripts = {"wait": WAITING, "": [Reply("done")]}
    async with tenants('[limits.tenants.TENANT]\nusd = { day = "1.20" }\n', scripts) as shop:
        done = await shop.result(goal="be done")
        waits = [await shop.start(goal="wait") for _ in range(2)]
        await shop.until(lambda: _asked(shop, 3))
        assert (await shop.result()).stop_detail == "usd:tenant:day"
        await shop.ledger().terminate("by hand")
        assert (await shop.result()).stop_detail == "usd:tenant:day"
        assert await shop.usd() == Sum(parse_usd(done.spent.usd), parse_usd("1.00"))
        shop.gate.touch()
        spent = [parse_usd((await ended(handle)).spent.usd) for handle in waits]
        assert await shop.usd() == Sum(parse_usd(done.spent.usd) + sum(spent), 0)


async def test_books_that_come_back_hold_what_a_terminated_run_had_spent(tenants: Opener) -> None:
    async with tenants('[limits.tenants.TENANT]\nusd = { day = "0.60" }\n', WAITING) as shop:
        lost = await shop.start()
        await shop.until(lambda: shop.settled(lost))
        spent = (await shop.reads(lost, "spent"))["usd"]
        await lost.terminate("by hand")
        assert (await shop.result()).stop_detail == "usd:tenant:day"  # no free crash: nobody knows yet what it spent
        await shop.ledger().terminate("by hand")
        shop.gate.touch()
        after = await shop.result()
        assert after.stop_reason == "completed"
        assert await shop.usd() == Sum(parse_usd(spent) + parse_usd(after.spent.usd), 0)
