"""People release what was shown to them, and nothing else."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ApplicationError

from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

TOOLS = '''
from decimal import Decimal
from pathlib import Path
from backstay.tools import ToolCall, tool

DONE = Path(__file__).with_name("done.txt")

def note(line: str) -> str:
    with DONE.open("a") as file:
        file.write(line + "\\n")
    return line

@tool(effect="write", groups=["payments"])
def pay(call: ToolCall, payee: str, amount: Decimal) -> str:
    """Pays somebody."""
    return note(f"paid {payee} {amount}")

@tool(effect="write")
def book(item: str) -> str:
    """Books something."""
    return note(f"booked {item}")
'''

TOML = """
[approval]
groups = { finance = ["alice", "bob", "rita"], board = ["ben"] }
"""

RULES = """
@id("large") @approval("finance") @reason("payments above 100 are released by finance")
forbid(principal, action == Action::"pay", resource) when { context.input.amount.greaterThan(decimal("100.0")) };
@id("huge") @approval("finance:2")
forbid(principal, action == Action::"pay", resource) when { context.input.amount.greaterThan(decimal("1000.0")) };
@id("never")
forbid(principal, action == Action::"pay", resource) when { context.input.amount.greaterThan(decimal("5000.0")) };
"""

MANY = 500 if os.environ.get("BACKSTAY_SOAK") else 250
PAY_500 = Call("pay", {"payee": "acme", "amount": 500})


class Till:
    """An agent that pays, with people who are asked."""

    def __init__(self, runtime: LocalRuntime, folder: Path) -> None:
        self.runtime = runtime
        self.folder = folder

    @property
    def done(self) -> list[str]:
        """The effects, in their order."""
        file = self.folder / "done.txt"
        return file.read_text().splitlines() if file.exists() else []

    async def start(self, **more: Any) -> WorkflowHandle[Any, Any]:
        """Starts a run that rita asked for."""
        return await self.runtime.start({"goal": "pay acme", "agent": "till", "requested_by": "rita", **more})

    async def asked(self, handle: WorkflowHandle[Any, Any], but: str = "") -> dict[str, Any]:
        """The one open approval, once it is there."""
        for _ in range(400):
            status = await handle.query("status")
            pending = [item for item in status["pending_approvals"] if item["approval_id"] != but]
            if pending:
                assert status["state"] == "waiting_approval"
                return pending[0]
            await asyncio.sleep(0.05)
        raise TimeoutError("no approval was opened")


Opener = Callable[..., AbstractAsyncContextManager[Till]]
PENDING = SearchAttributeKey.for_int("BackstayPendingApprovals")


@pytest.fixture
def till(client: Client, tmp_path: Path) -> Opener:
    """Opens a till whose model plays a script."""
    from contextlib import asynccontextmanager

    folder = tmp_path / "agents" / "till"

    @asynccontextmanager
    async def opened(*script: Any, toml: str = TOML, rules: str = RULES) -> AsyncIterator[Till]:
        folder.mkdir(parents=True)
        (folder / "agent.toml").write_text('instructions = "Pay."\n' + toml)
        (folder / "tools.py").write_text(TOOLS)
        (folder / "policy.cedar").write_text(rules)
        async with local_runtime(list(script), agents=folder.parent, client=client) as runtime:
            yield Till(runtime, folder)

    return opened


async def refused(handle: WorkflowHandle[Any, Any], name: str, payload: dict[str, Any]) -> str:
    """The code with which a run refuses an update."""
    with pytest.raises(WorkflowUpdateFailedError) as raised:
        await handle.execute_update(name, payload)
    assert isinstance(raised.value.cause, ApplicationError)
    return str(raised.value.cause.type)


async def test_a_yes_of_the_right_person_releases_exactly_what_was_shown(till: Opener) -> None:
    async with till(Reply(calls=[PAY_500]), Reply("paid")) as shop:
        handle = await shop.start()
        asked = await shop.asked(handle)
        assert (asked["tool"], asked["args"]) == ("pay", {"payee": "acme", "amount": 500})
        assert (asked["groups"], asked["required"], asked["rules"]) == (["finance"], 1, ["large"])
        assert "released by finance" in asked["reasons"][0]
        assert shop.done == []
        answer = {"approval_id": asked["approval_id"], "by": "alice"}
        assert await handle.execute_update("approve", answer) == {
            "approval_id": asked["approval_id"],
            "state": "closed",
            "answered_by": ["alice"],
        }
        assert (await handle.result())["status"] == "completed"
        assert shop.done == ["paid acme 500"]


async def test_siblings_run_while_one_call_waits(till: Opener) -> None:
    async with till(Reply(calls=[PAY_500, Call("book", {"item": "hall"})]), Reply("done")) as shop:
        handle = await shop.start()
        asked = await shop.asked(handle)
        while shop.done != ["booked hall"]:
            await asyncio.sleep(0.05)
        await handle.signal("approve", {"approval_id": asked["approval_id"], "by": "bob"})
        await handle.result()
        assert shop.done == ["booked hall", "paid acme 500"]
        results = [item["call_id"] for item in (await handle.query("transcript"))["items"] if item["kind"] == "result"]
        assert results == ["1-0", "1-1"]


async def test_every_refusal_has_its_own_code_and_a_record(till: Opener) -> None:
    async with till(Reply(calls=[PAY_500]), Reply("done")) as shop:
        handle = await shop.start()
        asked = await shop.asked(handle)
        vote = {"approval_id": asked["approval_id"], "by": "alice"}
        assert await refused(handle, "approve", {**vote, "by": "mallory"}) == "NotInGroup"
        assert await refused(handle, "approve", {**vote, "by": "ben"}) == "NotInGroup"
        assert await refused(handle, "approve", {**vote, "by": "rita"}) == "RequesterMayNotApprove"
        assert await refused(handle, "approve", {**vote, "approval_id": "apr_forged"}) == "ApprovalUnknown"
        assert await refused(handle, "deny", {**vote, "by": "mallory"}) == "NotInGroup"
        assert shop.done == []
        await handle.execute_update("approve", vote)
        await handle.result()
        codes = [r["facts"]["code"] for r in (await handle.query("audit"))["items"] if r["event"] == "message_refused"]
        assert codes == ["NotInGroup", "NotInGroup", "RequesterMayNotApprove", "ApprovalUnknown", "NotInGroup"]


async def test_two_people_are_two_people(till: Opener) -> None:
    call = Call("pay", {"payee": "acme", "amount": 2000})
    async with till(Reply(calls=[call]), Reply("done")) as shop:
        handle = await shop.start()
        asked = await shop.asked(handle)
        assert asked["required"] == 2
        vote = {"approval_id": asked["approval_id"], "by": "alice"}
        assert (await handle.execute_update("approve", vote))["state"] == "open"
        assert await refused(handle, "approve", vote) == "AlreadyAnswered"
        assert (await handle.execute_update("approve", {**vote, "by": "bob"}))["state"] == "closed"
        await handle.result()
        assert shop.done == ["paid acme 2000"]


async def test_nobody_is_asked_where_a_yes_would_not_help(till: Opener) -> None:
    call = Call("pay", {"payee": "acme", "amount": 6000})
    async with till(Reply(calls=[call]), Reply("done")) as shop:
        handle = await shop.start()
        assert (await handle.result())["status"] == "completed"
        records = (await handle.query("audit"))["items"]
        assert [r["facts"]["verdict"]["outcome"] for r in records if r["event"] == "call_judged"] == ["deny"]
        assert not [r for r in records if r["event"] == "approval_opened"]
        assert shop.done == []


async def test_a_no_is_told_to_the_model_with_its_reason(till: Opener) -> None:
    async with till(Reply(calls=[PAY_500]), Reply("done")) as shop:
        handle = await shop.start()
        asked = await shop.asked(handle)
        vote = {"approval_id": asked["approval_id"], "by": "alice", "comment": "wrong payee"}
        await handle.execute_update("deny", vote)
        await handle.result()
        assert shop.done == []
        assert "denied by a person: wrong payee" in shop.runtime.model.requests[-1].raw.decode()


async def test_an_edited_call_is_a_new_action_that_its_editor_cannot_release(till: Opener) -> None:
    async with till(Reply(calls=[PAY_500]), Reply("done")) as shop:
        handle = await shop.start()
        asked = await shop.asked(handle)
        edit = {"approval_id": asked["approval_id"], "by": "alice"}
        assert (
            await refused(handle, "edit", {**edit, "args": {"payee": "acme", "amount": "much"}}) == "InvalidArguments"
        )
        answer = await handle.execute_update("edit", {**edit, "args": {"payee": "acme", "amount": 300}})
        assert answer["outcome"] == "require_approval"
        after = await shop.asked(handle, but=asked["approval_id"])
        assert after["approval_id"] == answer["replaced_by"]
        assert await refused(handle, "approve", edit) == "ApprovalClosed"
        vote = {"approval_id": after["approval_id"], "by": "alice"}
        assert await refused(handle, "approve", vote) == "EditorMayNotApprove"
        await handle.execute_update("approve", {**vote, "by": "bob"})
        await handle.result()
        assert shop.done == ["paid acme 300"]


async def test_many_large_edits_that_are_released_together_wedge_nothing(till: Opener) -> None:
    toml = TOML + '[budget]\ntokens = 100_000_000\nusd = "1000"\n'
    calls = [Call("pay", {"payee": f"payee {n}", "amount": 500}) for n in range(20)]
    async with till(Reply(calls=calls), Reply("done"), toml=toml) as open_till:
        handle = await open_till.start()
        await open_till.asked(handle)
        await handle.execute_update("pause", {"by": "rita"})
        for asked in (await handle.query("status"))["pending_approvals"]:
            args = {"payee": asked["args"]["payee"] + '"' * 36_000, "amount": 50}
            edit = {"approval_id": asked["approval_id"], "by": "bob", "args": args}
            answer = await handle.execute_update("edit", edit)
            assert answer["outcome"] == "allow"
        await handle.execute_update("resume", {"by": "rita"})
        result = await asyncio.wait_for(handle.result(), 60)
        assert result["status"] == "completed", result["stop_reason"]
        assert len(open_till.done) == 20


async def test_the_arguments_of_all_waiting_calls_together_have_a_limit(till: Opener) -> None:
    calls = [Call("pay", {"payee": f"payee {n}", "amount": 500}) for n in range(12)]
    async with till(Reply(calls=calls), Reply("done")) as open_till:
        handle = await open_till.start()
        await open_till.asked(handle)
        edits = [
            {"approval_id": asked["approval_id"], "by": "bob", "args": {"payee": str(n) + "x" * 95_000, "amount": 600}}
            for n, asked in enumerate((await handle.query("status"))["pending_approvals"])
        ]
        for edit in edits[:10]:
            assert (await handle.execute_update("edit", edit))["outcome"] == "require_approval"
        for edit in edits[10:]:
            assert await refused(handle, "edit", edit) == "InvalidArguments"
        assert len((await handle.query("status"))["pending_approvals"]) == 12
        await handle.execute_update("kill", {"by": "rita", "reason": "enough"})
        assert (await handle.result())["stop_reason"] == "killed"


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_what_many_rules_say_of_many_calls_wedges_nothing(till: Opener) -> None:
    rules = "".join(
        f'@id("r{n}") @approval("finance") @reason("{"中" * 490}{n}")\n'
        'forbid(principal, action == Action::"book", resource);\n'
        for n in range(8)
    )
    toml = TOML + '[budget]\ntool_calls = 600\ntokens = 100_000_000\nusd = "1000"\n'
    calls = [Call("book", {"item": str(n)}) for n in range(MANY)]
    async with till(Reply(calls=calls), Reply("done"), toml=toml, rules=rules) as open_till:
        handle = await open_till.start()
        while (seen := await handle.describe()).typed_search_attributes.get(PENDING) != MANY:
            assert seen.status is WorkflowExecutionStatus.RUNNING
            await asyncio.sleep(0.2)
        assert len((await handle.query("status"))["pending_approvals"]) == MANY
        await handle.execute_update("kill", {"by": "rita", "reason": "enough"})
        assert (await asyncio.wait_for(handle.result(), 60))["stop_reason"] == "killed"
        events = [event async for event in handle.fetch_history_events()]
        assert not any(event.HasField("workflow_task_failed_event_attributes") for event in events)
        timers = [event for event in events if event.HasField("timer_started_event_attributes")]
        by_task = Counter(event.timer_started_event_attributes.workflow_task_completed_event_id for event in timers)
        assert max(by_task.values()) < 120, "one task of the workflow asks for no more than a hundred calls"


async def test_an_edit_too_large_for_the_run_is_refused(till: Opener) -> None:
    async with till(Reply(calls=[PAY_500]), Reply("done")) as open_till:
        handle = await open_till.start()
        asked = await open_till.asked(handle)
        edit = {"approval_id": asked["approval_id"], "by": "bob", "args": {"payee": "x" * 100_000, "amount": 50}}
        assert await refused(handle, "edit", edit) == "InvalidMessage"
        assert await open_till.asked(handle) == asked


async def test_an_edit_below_the_limit_runs_at_once_and_one_above_the_cap_never(till: Opener) -> None:
    async with till(Reply(calls=[PAY_500, Call("pay", {"payee": "b", "amount": 400})]), Reply("done")) as shop:
        handle = await shop.start()
        first = await shop.asked(handle)
        second = await shop.asked(handle, but=first["approval_id"])
        low = {"approval_id": first["approval_id"], "by": "alice", "args": {"payee": "acme", "amount": 50}}
        assert (await handle.execute_update("edit", low))["outcome"] == "allow"
        high = {"approval_id": second["approval_id"], "by": "alice", "args": {"payee": "b", "amount": 9000}}
        assert (await handle.execute_update("edit", high))["outcome"] == "deny"
        await handle.result()
        assert shop.done == ["paid acme 50"]


async def test_a_kill_closes_every_open_approval_and_late_answers_are_refused(till: Opener) -> None:
    async with till(Reply(calls=[PAY_500]), Reply("done")) as shop:
        handle = await shop.start()
        asked = await shop.asked(handle)
        await handle.execute_update("kill", {"by": "olga", "reason": "enough"})
        result = await handle.result()
        assert (result["stop_reason"], shop.done) == ("killed", [])
        status = await handle.query("status")
        assert (status["state"], status["pending_approvals"]) == ("closed", [])
        with pytest.raises(Exception, match="completed"):
            await handle.execute_update("approve", {"approval_id": asked["approval_id"], "by": "alice"})


async def test_an_approval_that_expires_is_a_refusal(till: Opener) -> None:
    toml = '[approval]\nexpires_after = "1s"\ngroups = { finance = ["alice", "bob"] }\n'
    async with till(Reply(calls=[PAY_500]), Reply("done"), toml=toml) as shop:
        handle = await shop.start()
        assert (await handle.result())["status"] == "completed"
        assert "before the approval expired" in shop.runtime.model.requests[-1].raw.decode()
        assert shop.done == []


async def test_an_approval_that_expires_stops_the_run_where_the_agent_says_so(till: Opener) -> None:
    toml = '[approval]\nexpires_after = "1s"\non_expiry = "stop"\ngroups = { finance = ["alice", "bob"] }\n'
    async with till(Reply(calls=[PAY_500]), Reply("done"), toml=toml) as shop:
        result = await (await shop.start()).result()
        assert (result["status"], result["stop_reason"]) == ("stopped", "approval_expired")


async def test_open_approvals_stand_in_the_memo(till: Opener) -> None:
    async with till(Reply(calls=[PAY_500]), Reply("done")) as shop:
        handle = await shop.start()
        asked = await shop.asked(handle)
        while "backstay.approvals" not in (memo := await (await handle.describe()).memo()):
            await asyncio.sleep(0.05)
        assert [item["approval_id"] for item in memo["backstay.approvals"]] == [asked["approval_id"]]
        await handle.execute_update("deny", {"approval_id": asked["approval_id"], "by": "alice"})
        await handle.result()
        assert not (await (await handle.describe()).memo()).get("backstay.approvals")


async def test_the_current_details_say_how_to_answer(till: Opener) -> None:
    async with till(Reply(calls=[PAY_500]), Reply("done")) as shop:
        handle = await shop.start()
        asked = await shop.asked(handle)
        page = str(await handle.query("__temporal_workflow_metadata")).replace("\\", "")
        assert f"backstay approve {handle.id} {asked['approval_id']}" in page
        assert '"amount": 500' in page
        await handle.signal("deny", {"approval_id": asked["approval_id"], "by": "alice"})
        await handle.result()
