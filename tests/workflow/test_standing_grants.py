"""Standing grants: one yes lets further calls through in every run of the tenant, and never more than it says."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.kernel.keys import grants_id
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

PATIENCE = 40.0
TOOLS = '''
from decimal import Decimal
from pathlib import Path

from backstay.tools import ToolCall, ToolError, tool

DONE = Path(__file__).with_name("done.txt")

def note(line: str) -> str:
    with DONE.open("a") as file:
        file.write(line + "\\n")
    return line

@tool(effect="write", exposure={"refunds_usd": lambda amount: amount})
def refund(order: str, amount: Decimal) -> str:
    """Pays an order back."""
    return note(f"refunded {order} {amount}")

@tool(effect="write")
def pay(order: str, amount: Decimal) -> str:
    """Pays, where the till has money."""
    if order == "none":
        raise ToolError("the till is empty")
    return note(f"paid {order}")
'''
TOML = """
[approval]
groups = { finance = ["alice@example.com", "bob@example.com"] }
[budget]
steps = 60
tool_calls = 80
"""
RULES = """
@id("refunds") @approval("finance") @grantable("uses:20,hours:8")
forbid(principal, action in [Action::"refund", Action::"pay"], resource)
when { context.input.amount.lessThan(decimal("1000.0")) };
@id("dear") @approval("finance")
forbid(principal, action == Action::"refund", resource) when { context.input.amount.greaterThan(decimal("500.0")) };
@id("two") @approval("finance:2") @grantable("uses:20,hours:8")
forbid(principal, action == Action::"refund", resource) when { context.input.amount.greaterThan(decimal("999.0")) };
@id("never")
forbid(principal, action == Action::"refund", resource) when { context.input.order == "X" };
"""
ALICE, BOB = "alice@example.com", "bob@example.com"
Handle = WorkflowHandle[Any, Any]


def refund(order: str, amount: float = 10, tool: str = "refund") -> Call:
    return Call(tool, {"order": order, "amount": amount})


def refunds(*orders: str) -> list[Reply]:
    """One decision for each refund, then an answer."""
    return [*(Reply(calls=[refund(order)]) for order in orders), Reply("done")]


class Till:
    """A runtime with an agent that refunds, and eyes on what it did."""

    def __init__(self, runtime: LocalRuntime, folder: Path, tenant: str) -> None:
        self.runtime, self.folder, self.tenant = runtime, folder, tenant

    @property
    def done(self) -> list[str]:
        file = self.folder / "done.txt"
        return file.read_text().splitlines() if file.exists() else []

    async def start(self, goal: str = "work", **more: Any) -> Handle:
        return await self.runtime.start({"goal": goal, "agent": "till", "tenant": self.tenant, **more})

    async def asked(self, handle: Handle) -> dict[str, Any]:
        """The open approval of a run, once there is one."""
        async with asyncio.timeout(PATIENCE):
            while not (pending := (await handle.query(names.STATUS))["pending_approvals"]):
                await asyncio.sleep(0.05)
        return pending[0]

    async def approve(self, handle: Handle, by: str = ALICE, **grant: Any) -> dict[str, Any]:
        """Answers the open approval of a run, with a grant if one is given."""
        answer = {"approval_id": (await self.asked(handle))["approval_id"], "by": by}
        return await handle.execute_update(names.APPROVE, {**answer, **({"grant": grant} if grant else {})})

    async def refused(self, handle: Handle, by: str = ALICE, **grant: Any) -> tuple[str, str]:
        """The code and the words with which a run refuses such an answer."""
        with pytest.raises(WorkflowUpdateFailedError) as raised:
            await self.approve(handle, by, **grant)
        assert isinstance(raised.value.cause, ApplicationError)
        return str(raised.value.cause.type), raised.value.cause.message

    @property
    def grants(self) -> Handle:
        return self.runtime.client.get_workflow_handle(grants_id(self.tenant))

    async def standing(self) -> list[dict[str, Any]]:
        return (await self.grants.query(names.GRANTS))["grants"]

    async def ended(self, handle: Handle) -> dict[str, Any]:
        return await asyncio.wait_for(handle.result(), PATIENCE)

    async def facts(self, handle: Handle, event: str) -> list[dict[str, Any]]:
        records = (await handle.query(names.AUDIT))["items"]
        return [record["facts"] for record in records if record["event"] == event]

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not await holds():
                await asyncio.sleep(0.05)


Opener = Callable[..., contextlib.AbstractAsyncContextManager[Till]]


@pytest.fixture
def till(client: Client, agent_folder: Callable[..., Path], tmp_path: Path) -> Opener:
    """Opens a till whose model plays a script, or scripts by a text of the goal."""

    @contextlib.asynccontextmanager
    async def opened(script: Any, rules: str = RULES, **settings: Any) -> AsyncGenerator[Till]:
        agents = agent_folder("till", TOML, TOOLS)
        (agents / "till" / "policy.cedar").write_text(rules)
        async with local_runtime(script, agents=agents, client=client, **settings) as runtime:
            yield Till(runtime, agents / "till", f"acme {tmp_path.name}")

    return opened


async def test_a_yes_with_a_grant_lets_the_next_calls_through_and_everybody_can_see_by_whom(till: Opener) -> None:
    async with till(refunds("A", "B", "C", "D")) as shop:
        handle = await shop.start(requested_by="rita@example.com")
        assert (await shop.asked(handle))["grantable"] == {"uses": 20, "hours": 8}
        answer = await shop.approve(handle, uses=2, until="8h")
        given = answer["grant"]
        assert (answer["state"], given["uses"], given["by"], given["state"]) == ("closed", 2, ALICE, "live")
        asked = await shop.asked(handle)
        assert asked["args"]["order"] == "D"
        assert shop.done == ["refunded A 10", "refunded B 10", "refunded C 10"]
        [grant] = await shop.standing()
        assert (grant["id"], grant["uses_left"], grant["state"]) == (given["id"], 0, "used_up")
        [granted] = await shop.facts(handle, "standing_granted")
        assert (granted["grant"], granted["by"], granted["uses"]) == (given["id"], ALICE, 2)
        used = await shop.facts(handle, "grant_used")
        assert [(one["grant"], one["by"], one["number"], one["uses"]) for one in used] == [
            (given["id"], ALICE, 1, 2),
            (given["id"], ALICE, 2, 2),
        ]
        verdicts = [one["verdict"] for one in await shop.facts(handle, "call_judged")]
        assert [one["grant"] for one in verdicts if one["grant"]] == [{"id": given["id"], "by": ALICE}] * 2
        results = (await handle.query(names.TRANSCRIPT))["items"]
        words = f"let through by grant {given['id']} of {ALICE}, 2 of 2 used"
        assert words in [item["grant"] for item in results]
        deeds = (await handle.query(names.STATUS))["people"]
        assert [deed["did"] for deed in deeds] == ["granted", "approved"]
        assert "2 further calls" in deeds[0]["comment"]
        await shop.approve(handle, BOB)
        assert (await shop.ended(handle))["status"] == "completed"
        assert len(shop.done) == 4


async def test_two_runs_in_parallel_share_three_uses_and_the_fourth_asks(till: Opener) -> None:
    scripts = {
        "first": refunds("A"),
        "many": [Reply(calls=[refund("B"), refund("C")]), Reply("done")],
        "more": [Reply(calls=[refund("D"), refund("E")]), Reply("done")],
    }
    async with till(scripts) as shop:
        first = await shop.start("first")
        await shop.approve(first, uses=3, until="1h")
        runs = [await shop.start("many"), await shop.start("more")]

        async def settled() -> bool:
            return len(shop.done) == 4 and (await shop.standing())[0]["uses_left"] == 0

        await shop.until(settled)
        open_ones = Counter[str]()

        async def one_asks() -> bool:
            open_ones.clear()
            for run in runs:
                open_ones[run.id] = len((await run.query(names.STATUS))["pending_approvals"])
            return open_ones.total() == 1

        await shop.until(one_asks)
        await asyncio.sleep(0.3)
        assert await one_asks()
        assert len(shop.done) == 4
        [asking] = [run for run in runs if open_ones[run.id]]
        await shop.approve(asking)
        assert [(await shop.ended(run))["status"] for run in runs] == ["completed"] * 2
        assert len(shop.done) == 5


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "too many uses": ({"uses": 21}, "GrantTooWide", "the rules that ask allow 20 uses and 8 hours"),
    "too long": ({"uses": 1, "until": "9h"}, "GrantTooWide", "hold too long"),
    "over before it begins": ({"until": "2026-01-01T00:00:00Z"}, "GrantOver", "name a later `until`"),
    "another meter": ({"uses": 1, "exposure": {"points": "5"}}, "UnknownMeter", "`refunds_usd`"),
    "no terms": ({"exposure": {"refunds_usd": "5"}}, "InvalidMessage", "`grant`"),
    "no use": ({"uses": 0}, "InvalidMessage", "`grant.uses`"),
    "no time": ({"until": "tomorrow"}, "InvalidMessage", "`grant.until`"),
}


async def test_what_is_no_grant_is_refused_with_words_and_nothing_is_lost(till: Opener) -> None:
    async with till(refunds("A", "B")) as shop:
        handle = await shop.start(requested_by=BOB)
        for grant, code, words in REFUSED.values():
            refused = await shop.refused(handle, **grant)
            assert (refused[0], words in refused[1]) == (code, True), refused
        assert (await shop.refused(handle, BOB, uses=2))[0] == "RequesterMayNotApprove"
        assert (await shop.refused(handle, "eve", uses=2))[0] == "NotInGroup"
        asked = await shop.asked(handle)
        assert asked["answered_by"] == []
        answer = {"approval_id": asked["approval_id"], "by": ALICE, "grant": {"uses": 99}}
        await handle.signal(names.APPROVE, answer)
        await handle.signal(names.APPROVE, {**answer, "grant": {"uses": 1, "until": "2h"}})
        assert (await shop.ended(handle))["status"] == "completed"
        refusals = await shop.facts(handle, "message_refused")
        assert refusals[-1]["code"] == "GrantTooWide"
        assert [one["uses"] for one in await shop.facts(handle, "standing_granted")] == [1]
        assert len(shop.done) == 2


async def test_a_rule_that_allows_none_a_quorum_of_two_and_a_rule_that_forbids_stay_as_they_are(till: Opener) -> None:
    script = [
        *[Reply(calls=[refund("A", amount)]) for amount in (600, 2000, 10, 600)],
        *[Reply(calls=[refund("X")]), Reply("done")],
    ]
    async with till(script) as shop:
        handle = await shop.start()
        dear = await shop.asked(handle)
        assert (dear["rules"], dear["grantable"]) == (["dear", "refunds"], None)
        assert await shop.refused(handle, uses=2) == (
            "NotGrantable",
            "a rule that asks allows no standing grant: leave `grant` out",
        )
        await shop.approve(handle)
        await shop.until(lambda: _asks_for(shop, handle, 2000))
        code, words = await shop.refused(handle, uses=2)
        assert (code, "2 people must say yes" in words) == ("NotGrantable", True)
        for by in (ALICE, BOB):
            await shop.approve(handle, by)
        await shop.until(lambda: _asks_for(shop, handle, 10))
        await shop.approve(handle, uses=9)
        await shop.until(lambda: _asks_for(shop, handle, 600))
        await shop.approve(handle)
        assert (await shop.ended(handle))["status"] == "completed"
        assert shop.done == ["refunded A 600", "refunded A 2000", "refunded A 10", "refunded A 600"]
        assert (await shop.standing())[0]["uses_left"] == 9


async def _asks_for(shop: Till, handle: Handle, amount: float) -> bool:
    pending = (await handle.query(names.STATUS))["pending_approvals"]
    return bool(pending) and pending[0]["args"]["amount"] == amount


async def test_runs_of_who_gave_a_grant_and_calls_above_its_cap_ask_and_what_failed_is_given_back(till: Opener) -> None:
    scripts = {
        "mine": refunds("M"),
        "pay": [Reply(calls=[refund("P", tool="pay")]), Reply(calls=[refund("none", tool="pay")]), Reply("done")],
        "work": [*[Reply(calls=[refund("A", amount)]) for amount in (10, 15, 10.5, 10)], Reply("done")],
    }
    async with till(scripts) as shop:
        handle = await shop.start()
        await shop.approve(handle, uses=9, until="1h", exposure={"refunds_usd": "25"})
        await shop.until(lambda: _asks_for(shop, handle, 10.5))
        mine = await shop.start("mine", requested_by="Alice <ALICE@example.com>")
        assert (await shop.asked(mine))["args"]["order"] == "M"
        await shop.approve(mine, BOB)
        await shop.approve(handle)
        assert (await shop.ended(handle))["status"] == "completed"
        assert shop.done == ["refunded A 10", "refunded A 15", "refunded M 10", "refunded A 10.5", "refunded A 10"]
        [grant] = await shop.standing()
        assert (grant["uses_left"], grant["exposure_left"]) == (7, {"refunds_usd": "0"})
        pays = await shop.start("pay")
        await shop.approve(pays, uses=1)
        assert (await shop.ended(pays))["status"] == "completed"
        [returned] = await shop.facts(pays, "grant_returned")

        async def given_back() -> bool:
            found = {one["id"]: one for one in await shop.standing()}
            return found[returned["grant"]]["uses_left"] == 1

        await shop.until(given_back)


async def test_from_its_end_on_and_once_it_is_revoked_the_next_call_asks(till: Opener) -> None:
    async with till({"short": refunds("A"), "work": refunds("B", "C"), "last": refunds("D")}) as shop:
        short = await shop.start("short")
        await shop.approve(short, until="1s")
        await shop.ended(short)
        await asyncio.sleep(1)
        handle = await shop.start()
        assert (await shop.asked(handle))["args"]["order"] == "B"
        given = (await shop.approve(handle, uses=5))["grant"]
        await shop.ended(handle)
        revoking = {"grant_id": given["id"], "by": "olga", "reason": "month's end"}
        first = await shop.grants.execute_update(names.REVOKE, revoking)
        again = await shop.grants.execute_update(names.REVOKE, {**revoking, "by": "eve"})
        assert (first["state"], first["revoked"]["by"]) == ("revoked", "olga")
        assert again == first
        last = await shop.start("last")
        assert (await shop.asked(last))["args"]["order"] == "D"
        with pytest.raises(WorkflowUpdateFailedError) as unknown:
            await shop.grants.execute_update(names.REVOKE, {**revoking, "grant_id": "grt_none"})
        assert isinstance(unknown.value.cause, ApplicationError)
        assert unknown.value.cause.type == "GrantUnknown"
        await last.execute_update(names.KILL, {"by": "olga", "reason": "enough"})


async def test_where_the_text_of_its_rule_changed_or_its_keeper_was_ended_a_grant_lets_nothing_through(
    till: Opener,
) -> None:
    queue = f"agents-{uuid.uuid4()}"
    async with till(refunds("A"), task_queue=queue) as shop:
        handle = await shop.start()
        await shop.approve(handle, uses=5)
        await shop.ended(handle)
    async with till(refunds("B"), RULES.replace("lessThan", "lessThanOrEqual"), task_queue=queue) as shop:
        handle = await shop.start()
        assert (await shop.asked(handle))["args"]["order"] == "B"
        await shop.approve(handle)
        await shop.ended(handle)
        assert (await shop.standing())[0]["uses_left"] == 5
    async with till(refunds("C")) as shop:
        other = await shop.start()
        assert (await shop.asked(other))["args"]["order"] == "C", "another queue is another fleet"
        await other.execute_update(names.KILL, {"by": "olga", "reason": "enough"})
    async with till(refunds("C"), task_queue=queue) as shop:
        await shop.ended(await shop.start())
        assert (await shop.standing())[0]["uses_left"] == 4
        await shop.grants.terminate("by hand")
        handle = await shop.start()
        assert (await shop.asked(handle))["args"]["order"] == "C"
        await shop.approve(handle, uses=5)
        await shop.ended(handle)
        assert [one["uses_left"] for one in await shop.standing()] == [5]


async def test_where_no_rule_allows_grants_a_run_asks_for_none(till: Opener) -> None:
    async with till(refunds("A"), RULES.replace('@grantable("uses:20,hours:8")', "")) as shop:
        handle = await shop.start()
        await shop.approve(handle)
        await shop.ended(handle)
        activities = [
            event.activity_task_scheduled_event_attributes.activity_type.name
            async for event in handle.fetch_history_events()
            if event.HasField("activity_task_scheduled_event_attributes")
        ]
        assert names.USE_GRANT not in activities
