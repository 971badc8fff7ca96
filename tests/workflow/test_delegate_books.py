"""The books of a family of runs: ledgers count it once, meters are shared, and a reset starts no child twice."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from backstay.adapters.engine.ledger_runs import LedgerRuns
from backstay.client import control_plane
from backstay.client.fleet import waiting_approvals
from backstay.contracts import names
from backstay.contracts.control import LimitOrder
from backstay.contracts.ledger import LedgerRef, LedgerView
from backstay.contracts.run import RunResult
from backstay.kernel.keys import child_id, ledger_id, short_digest
from backstay.kernel.ledger_sums import Sum
from backstay.kernel.money import parse_usd
from backstay.testing import Call, Reply, Usage

from .office import HELPER, LEAD, ask
from .resets import reset

if TYPE_CHECKING:
    from pathlib import Path

    from .office import OfficeOpener

USAGE = Usage(1_000, 100)
ONE = [Reply(calls=[ask("help me")], usage=USAGE), Reply("led", usage=USAGE)]
HELPED = [Reply("helped", usage=USAGE)]
ROOMY = '[budget]\nsteps = 200\ntool_calls = 200\nusd = "3.00"\ntokens = 2_000_000\n'
REFUND = """
from decimal import Decimal

@tool(effect="write", exposure={"refunds_usd": lambda amount: amount})
async def refund(call: ToolCall, amount: Decimal) -> str:
    \"\"\"Refunds an amount.\"\"\"
    log(call, f"refunded {amount}")
    return "refunded"
"""


def org(tmp_path: Path, text: str) -> Path:
    place = tmp_path / "org"
    place.mkdir()
    (place / "org.toml").write_text(text)
    return place


async def test_ledgers_count_the_spend_of_a_family_once(office: OfficeOpener, tmp_path: Path) -> None:
    tenant = f"family {tmp_path.name}"
    limits = f'[limits.tenants."{tenant}"]\nusd = {{ day = "2.00" }}\nruns_at_once = 1\n'
    async with office({"lead": ONE, "help me": HELPED}, policies=[org(tmp_path, limits)]) as shop:
        handle = await shop.start(tenant=tenant)
        result = await shop.result(handle)
        [child] = result.children
        assert parse_usd(child.spent.usd) > 0
        ledger = shop.runtime.client.get_workflow_handle(ledger_id(tenant))

        async def settled() -> bool:
            answer: Any = await ledger.query(names.BOOKS)
            return not LedgerView.model_validate(answer).books.holds

        await shop.until(settled)
        answer: Any = await ledger.query(names.BOOKS)
        books = LedgerView.model_validate(answer).books
        day = max(key for key in books.ends if len(key) == len("2026-11-30"))
        assert books.sums.at("tenant", "usd", day).spent == parse_usd(result.spent.usd)


async def test_a_child_counts_in_the_limit_of_its_own_agent_too(office: OfficeOpener, tmp_path: Path) -> None:
    tenant = f"family {tmp_path.name}"
    limits = f'[limits.organisation]\nusd = {{ day = "1000" }}\n[limits.tenants."{tenant}"]\nusd = {{ day = "2.00" }}\n'
    own = '[limits.agents.helper]\nusd = { day = "1.00" }\nruns_at_once = 1\n'
    async with office({"lead": ONE, "help me": HELPED}, policies=[org(tmp_path, limits + own)]) as shop:
        result = await shop.result(await shop.start(tenant=tenant))
        [child] = result.children
        whole, part = parse_usd(result.spent.usd), parse_usd(child.spent.usd)
        assert whole > part > 0

        async def booked() -> dict[str, Sum]:
            return {
                account: await _today(shop, tenant, account) for account in ("tenant", "agent:lead", "agent:helper")
            }

        async def settled() -> bool:
            return not any(one.held for one in (await booked()).values())

        await shop.until(settled)
        assert await booked() == {"tenant": Sum(whole), "agent:lead": Sum(whole), "agent:helper": Sum(part)}
        runs = LedgerRuns(shop.runtime.client)
        drawn = {holds[0].holder.workflow_id: spent async for holds, spent in runs.drawn(LedgerRef(tenant=tenant), 0)}
        assert {run_id: (spent or {})["usd"] for run_id, spent in drawn.items()} == {
            result.run_id: whole,
            child.run_id: part,
        }
        above = [holds[0].holder.workflow_id async for holds, _ in runs.drawn(LedgerRef(), 0)]
        assert (result.run_id in above, child.run_id in above) == (True, False)


async def test_a_child_takes_no_place_among_the_runs_at_once_also_where_a_limit_comes_while_it_works(
    office: OfficeOpener, tmp_path: Path
) -> None:
    tenant = f"family {tmp_path.name}"
    gate = [Reply(calls=[Call("gate", {"name": "long"})]), Reply("helped")]
    short = [Reply(calls=[Call("gate", {"name": "short"})]), Reply("done")]
    scripts = {"lead": ONE, "help me": gate, "first": short, "second": [Reply("second")]}
    async with office(scripts) as shop:
        family = await shop.start(tenant=tenant)
        await shop.children(family)
        await shop.effects("at the gate")
        order = LimitOrder(by="olga@example.com", reason="they share a shop", tenant=tenant, runs=2)
        await control_plane.limit(shop.runtime.client, order)
        await asyncio.sleep(0.5)  # the worker's copy is that much older at most
        alone = {"agent": "helper", "tenant": tenant}
        first = await shop.runtime.start({**shop.request(), **alone, "goal": "first"})
        await shop.until(lambda: _at_the_gate(shop, 2))
        second = await shop.runtime.start({**shop.request(), **alone, "goal": "second"})

        async def queued() -> bool:
            return (await shop.status(second))["state"] == "queued"

        await shop.until(queued)
        shop.open("short")
        assert (await shop.ended(first)).status == "completed"
        # The run above and its child are at the gate, and count as one.
        assert (await shop.ended(second)).status == "completed"
        shop.open("long")
        assert (await shop.result(family)).status == "completed"


async def _at_the_gate(shop: Any, count: int) -> bool:
    return sum("at the gate" in line for line in shop.lines()) >= count


async def test_a_limit_of_an_agent_holds_where_another_one_delegates_to_it(
    office: OfficeOpener, tmp_path: Path
) -> None:
    tenant = f"family {tmp_path.name}"
    own = '[limits.agents.helper]\nusd = { day = "0.000001" }\n'
    async with office({"lead": ONE, "help me": HELPED}, policies=[org(tmp_path, own)]) as shop:
        result = await shop.result(await shop.start(tenant=tenant))
        [child] = result.children
        assert (child.status, child.stop_reason, child.spent.usd) == ("stopped", "budget_exhausted", "0.00")
        [text] = shop.texts()
        assert "(budget_exhausted: usd:agent:day)" in text
        assert (result.status, result.answer) == ("completed", "led")


ITS_DAY = '[limits.agents.helper]\nusd = { day = "1.00" }\n'
AT_THE_GATE = {"lead": ONE, "help": [Reply(calls=[Call("gate")], usage=USAGE), *HELPED]}
"""The child waits at a gate, with its own agent's limit drawn."""


async def test_a_killed_child_returns_its_rest_to_its_agent_once(office: OfficeOpener, tmp_path: Path) -> None:
    tenant = f"family {tmp_path.name}"
    async with office(AT_THE_GATE, policies=[org(tmp_path, ITS_DAY)]) as shop:
        handle = await shop.start(tenant=tenant)
        [child] = await shop.children(handle)
        await shop.effects("at the gate")
        assert (await _today(shop, tenant, "agent:helper")).held > 0
        await child.execute_update("kill", {"by": "olga", "reason": "enough"})
        result = await shop.result(handle)
        [ended] = result.children
        spent = parse_usd(ended.spent.usd)
        assert (ended.stop_reason, spent > 0) == ("killed", True)

        async def returned() -> bool:
            return await _today(shop, tenant, "agent:helper") == Sum(spent)

        await shop.until(returned)


async def test_a_ledger_that_asks_for_a_terminated_child_later_counts_what_it_may_have_spent(
    office: OfficeOpener, tmp_path: Path
) -> None:
    tenant = f"family {tmp_path.name}"
    async with office(AT_THE_GATE, policies=[org(tmp_path, ITS_DAY)]) as shop:
        handle = await shop.start(tenant=tenant)
        [child] = await shop.children(handle)
        await shop.effects("at the gate")
        status = await shop.status(child)
        await child.terminate("lost")
        await shop.result(handle)
        runs, found = LedgerRuns(shop.runtime.client), dict[str, Any]()
        async for holds, spent in runs.drawn(LedgerRef(tenant=tenant), 0):
            found[holds[0].holder.workflow_id] = spent
        assert found[child.id]["usd"] == parse_usd(status["spent"]["usd"]) > 0


async def _today(shop: Any, tenant: str, account: str) -> Sum:
    answer: Any = await shop.runtime.client.get_workflow_handle(ledger_id(tenant)).query(names.BOOKS)
    books = LedgerView.model_validate(answer).books
    return books.sums.at(account, "usd", max(key for key in books.ends if len(key) == len("2026-11-30")))


async def test_a_lump_is_drawn_for_what_a_child_may_spend(office: OfficeOpener, tmp_path: Path) -> None:
    tenant = f"family {tmp_path.name}"
    limits = f'[limits.organisation]\ndraw = "0.01"\n[limits.tenants."{tenant}"]\nusd = {{ day = "0.30" }}\n'
    calls = [ask("help me", usd="0.20"), ask("help me", usd="0.20")]
    scripts = {"lead": [Reply(calls=calls, usage=USAGE), Reply("led", usage=USAGE)], "help me": HELPED}
    async with office(scripts, policies=[org(tmp_path, limits)]) as shop:
        result = await shop.result(await shop.start(tenant=tenant))
        assert result.status == "completed"
        assert [child.status for child in result.children] == ["completed"]
        assert shop.texts()[0] == "helped"
        assert "not executed: the call asks for 0.20 of `usd`" in shop.texts()[1]


async def test_a_meter_of_the_parent_limits_what_its_children_do(office: OfficeOpener) -> None:
    meter = '[exposure.refunds_usd]\nrun = "100"\n'
    lead = LEAD.replace('"note"', '"note", "refund"') + meter
    helper = HELPER.replace('"note"', '"note", "refund"') + meter
    refunds = [Reply(calls=[Call("refund", {"amount": amount}) for amount in ("40", "20")]), Reply("helped")]
    scripts = {"lead": [Reply(calls=[ask("help 1"), ask("help 2")]), Reply("led")], "help": refunds}
    async with office(scripts, lead=lead, helper=helper, tools=REFUND) as shop:
        handle = await shop.start()
        result = await shop.result(handle)
        # Each child may refund 50 of the 100: the second refund of both is refused.
        assert sorted(shop.lines()) == ["refunded 40", "refunded 40"]
        assert Decimal(result.spent.exposure["refunds_usd"]) == 80
        assert result.exposure["refunds_usd"]["run"] == "80"


async def test_a_meter_of_the_day_is_counted_once_for_a_family(office: OfficeOpener, tmp_path: Path) -> None:
    tenant = f"family {tmp_path.name}"
    meter = '[exposure.refunds_usd]\nday = "100"\n'
    lead = LEAD.replace('"note"', '"note", "refund"') + meter
    helper = HELPER.replace('"note"', '"note", "refund"') + meter
    calls = [ask("help me"), Call("refund", {"amount": "30"})]
    scripts = {
        "lead": [Reply(calls=calls), Reply("led")],
        "help me": [Reply(calls=[Call("refund", {"amount": "40"})]), Reply("helped")],
    }
    async with office(scripts, lead=lead, helper=helper, tools=REFUND) as shop:
        await shop.result(await shop.start(tenant=tenant))
        ledger = shop.runtime.client.get_workflow_handle(ledger_id(tenant))

        async def sums() -> tuple[int, int]:
            answer: Any = await ledger.query(names.BOOKS)
            books = LedgerView.model_validate(answer).books
            day = max(key for key in books.ends if len(key) == len("2026-11-30"))
            found = books.sums.at("tenant", "exposure:refunds_usd", day)
            return found.spent, found.held

        async def settled() -> bool:
            return await sums() == (700_000, 0)

        await shop.until(settled)


async def test_a_child_that_had_ended_before_a_reset_is_not_started_again(office: OfficeOpener) -> None:
    helper = [Reply(calls=[Call("note", {"text": "once"})], usage=USAGE), *HELPED]
    async with office({"lead": ONE, "help me": helper}) as shop:
        handle = await shop.start()
        before = await shop.result(handle)
        again = await reset(shop.runtime.client, handle, "decide-1")
        after = RunResult.model_validate(await again.result())
        assert (after.answer, shop.lines()) == ("led", ["once"])
        assert [(one.run_id, one.head, one.spent.usd) for one in after.children] == [
            (one.run_id, one.head, one.spent.usd) for one in before.children
        ]
        assert after.spent.usd == before.spent.usd


async def test_a_child_that_runs_while_its_parent_is_reset_is_waited_for(office: OfficeOpener) -> None:
    helper = [Reply(calls=[Call("gate")], usage=USAGE), *HELPED]
    async with office({"lead": ONE, "help me": helper}) as shop:
        handle = await shop.start()
        await shop.children(handle)
        await shop.effects("at the gate")
        again = await reset(shop.runtime.client, handle, "decide-1")
        await shop.until(lambda: shop.audit(again, "child_begun"))
        shop.open("gate")
        after = RunResult.model_validate(await again.result())
        [child] = after.children
        assert after.status == "completed"
        assert (child.status, after.spent.model_calls >= 2) in (("completed", True), ("unknown", True))
        assert (await shop.status(again))["held"]["usd"] == "0.00"


async def test_a_workflow_that_sits_on_the_id_of_a_child_is_not_taken_for_one(office: OfficeOpener) -> None:
    async with office({"lead": ONE, "help me": HELPED, "squat": [Reply(calls=[Call("gate")]), Reply("x")]}) as shop:
        run_id = f"boss-{shop.log.parent.name}"
        content = 'delegate\n{"agent":"helper","goal":"help me"}'
        squatted = child_id(run_id, "1-0", short_digest(content))
        await shop.runtime.start({**shop.request(), "goal": "squat"}, squatted)
        await shop.effects("at the gate")
        handle = await shop.runtime.start(shop.request(), run_id)
        result = await shop.result(handle)
        [child] = result.children
        assert (child.run_id, child.status, child.spent.usd) == (squatted, "refused", "0.00")
        assert "another workflow has the id" in shop.texts()[0]
        shop.open("gate")


async def test_approvals_of_children_stand_below_those_of_their_parent(office: OfficeOpener) -> None:
    asks = '[approval]\nrequire = { note = "finance" }\ngroups = { finance = ["ann@example.com"] }\n'
    note = Call("note", {"text": "written"})
    scripts = {
        "lead": [Reply(calls=[ask("help me"), note]), Reply("led")],
        "help me": [Reply(calls=[note]), Reply("helped")],
    }
    async with office(scripts, lead=LEAD + asks, helper=HELPER + asks) as shop:
        handle = await shop.start()
        [child] = await shop.children(handle)
        temporal, queue = shop.runtime.client, shop.runtime.settings.task_queue

        async def listed() -> bool:
            return len(await waiting_approvals(temporal, task_queue=queue)) == 2

        await shop.until(listed)
        found = await waiting_approvals(temporal, task_queue=queue)
        assert [(one.run_id, one.approval.parent) for one in found] == [(handle.id, None), (child.id, handle.id)]
        await handle.execute_update("kill", {"by": "olga", "reason": "done"})
        await shop.result(handle)


async def test_a_person_who_changes_the_call_of_a_child_changes_its_budget(office: OfficeOpener) -> None:
    lead = LEAD + '[approval]\nrequire = { delegate = "finance" }\ngroups = { finance = ["ann@x.com", "bob@x.com"] }\n'
    async with office({"lead": ONE, "help less": HELPED}, lead=lead) as shop:
        handle = await shop.start()
        await shop.until(lambda: _pending(shop, handle))
        [pending] = (await shop.status(handle))["pending_approvals"]
        args = {"agent": "helper", "goal": "help less", "budget": {"usd": "0.02"}}
        edit = {"approval_id": pending["approval_id"], "by": "ann@x.com", "args": args}
        edited = await handle.execute_update("edit", edit)
        await handle.execute_update("approve", {"approval_id": edited["replaced_by"], "by": "bob@x.com"})
        result = await shop.result(handle)
        [child] = await shop.children(handle)
        assert (await shop.ended(child)).budget.usd == "0.02"
        assert result.answer == "led"


async def _pending(shop: Any, handle: Any) -> bool:
    return bool((await shop.status(handle))["pending_approvals"])


async def test_a_ledger_that_asks_a_family_later_finds_the_same_books(office: OfficeOpener, tmp_path: Path) -> None:
    tenant = f"family {tmp_path.name}"
    meter = '[exposure.refunds_usd]\nday = "100"\n'
    lead = LEAD.replace('"note"', '"note", "refund"') + meter
    helper = HELPER.replace('"note"', '"note", "refund"') + meter
    calls = [ask("help me"), Call("refund", {"amount": "30"})]
    scripts = {
        "lead": [Reply(calls=calls), Reply("led")],
        "help me": [Reply(calls=[Call("refund", {"amount": "40"})]), Reply("helped")],
    }
    limits = f'[limits.tenants."{tenant}"]\nusd = {{ day = "2.00" }}\n'
    settings: Any = {"policies": [org(tmp_path, limits)]}
    async with office(scripts, lead=lead, helper=helper, tools=REFUND, **settings) as shop:
        handle = await shop.start(tenant=tenant)
        result = await shop.result(handle)
        runs, found = LedgerRuns(shop.runtime.client), dict[str, Any]()
        async for holds, spent in runs.drawn(LedgerRef(tenant=tenant), 0):
            found[holds[0].holder.workflow_id] = spent
        [child] = result.children
        assert found[handle.id]["usd"] == parse_usd(result.spent.usd)
        assert found[handle.id]["exposure:refunds_usd"] == 300_000
        assert found[child.run_id] == {"exposure:refunds_usd": 400_000}


async def test_a_family_that_goes_on_in_many_links_keeps_its_books(office: OfficeOpener, tmp_path: Path) -> None:
    tenant = f"family {tmp_path.name}"
    limits = f'[limits.tenants."{tenant}"]\nusd = {{ day = "5.00" }}\ndraw = "0.02"\n'
    own = '[limits.agents.helper]\nusd = { day = "5.00" }\ndraw = "0.01"\n'
    rounds = 3
    lead = [Reply(calls=[ask(f"help {n}"), ask(f"help {n}b", usd="0.05")], usage=USAGE) for n in range(rounds)]
    helper = [*[Reply(calls=[Call("note", {"text": f"{n}"})], usage=USAGE) for n in range(5)], *HELPED]
    scripts = {"lead": [*lead, Reply("led", usage=USAGE)], "help": helper}
    settings: Any = {"policies": [org(tmp_path, limits + own)], "link_events": 20}
    async with office(scripts, lead=f"{LEAD}{ROOMY}", helper=f"{HELPER}{ROOMY}", **settings) as shop:
        handle = await shop.start(tenant=tenant)
        result = await shop.result(handle)
        assert (result.status, result.answer, len(result.children)) == ("completed", "led", 2 * rounds)
        assert {child.status for child in result.children} == {"completed"}
        assert result.spent.model_calls == len(shop.runtime.model.requests) == rounds * 2 * 6 + rounds + 1
        whole, part = parse_usd(result.spent.usd), sum(parse_usd(child.spent.usd) for child in result.children)
        links = [await _link(shop, handle.id), await _link(shop, result.children[0].run_id)]
        assert min(links) > 1

        async def settled() -> bool:
            found = [await _today(shop, tenant, account) for account in ("tenant", "agent:lead", "agent:helper")]
            return found == [Sum(whole), Sum(whole), Sum(part)]

        await shop.until(settled)


async def _link(shop: Any, run_id: str) -> int:
    """Counts the links of a run."""
    listed = shop.runtime.client.list_workflows(f"WorkflowId = '{run_id}'")
    return len([one async for one in listed])
