"""Runs above their tenant's limit wait in the order of their starts, and go on as soon as there is room."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError

from backstay.adapters.engine.dev_server import dev_server
from backstay.client import control_plane
from backstay.contracts import names
from backstay.contracts.control import ConfirmOrder, LimitOrder
from backstay.contracts.ledger import LedgerView
from backstay.contracts.run import RunResult
from backstay.kernel.keys import ledger_id
from backstay.kernel.ledger_sums import NOW, RUNS
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from temporalio.client import Client, WorkflowHandle

    Handle = WorkflowHandle[Any, Any]
    Opener = Callable[..., contextlib.AbstractAsyncContextManager["House"]]

PATIENCE = 60.0
SOON = 15.0
TOOLS = '''
import asyncio
from pathlib import Path

from backstay.tools import ToolCall, tool

HERE = Path(__file__).parent

def told(what: str, call: ToolCall) -> None:
    with (HERE / "told.txt").open("a") as file:
        file.write(f"{what} {call.run_id}\\n")

@tool(effect="read")
async def work(call: ToolCall) -> str:
    """Works until the gate is open."""
    told("in", call)
    while not (HERE / f"open-{call.run_id}").exists() and not (HERE / "open").exists():
        await asyncio.sleep(0.02)
    told("out", call)
    return "worked"
'''
WORK = [Reply(calls=[Call("work")]), Reply("done")]


class House:
    """A tenant whose runs work until their gates are opened, and the book in which their tool writes."""

    def __init__(self, runtime: LocalRuntime, tenant: str, folder: Path) -> None:
        self.runtime = runtime
        self.tenant = tenant
        self.folder = folder

    async def start(self, number: int = 0, **more: Any) -> Handle:
        request = {"goal": "work", "agent": "clerk", "tenant": self.tenant, **more}
        return await self.runtime.start(request, f"{self.tenant}-{request['agent']}-{number}")

    async def started(self, count: int, **more: Any) -> list[Handle]:
        return [await self.start(number, **more) for number in range(count)]

    def told(self, what: str) -> list[str]:
        """The runs that said so, in order."""
        file = self.folder / "told.txt"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line.partition(" ")[2] for line in lines if line.startswith(f"{what} ")]

    def most_at_once(self) -> int:
        now = most = 0
        for line in (self.folder / "told.txt").read_text().splitlines():
            now += 1 if line.startswith("in ") else -1
            most = max(now, most)
        return most

    def open(self, run: Handle | None = None) -> None:
        (self.folder / (f"open-{run.id}" if run else "open")).touch()

    async def limit(self, runs: int | None) -> None:
        order = LimitOrder(by="olga@example.com", reason="they share a shop", tenant=self.tenant, runs=runs)
        await control_plane.limit(self.runtime.client, order)
        await asyncio.sleep(0.3)  # the worker's copy is that much older at most, while nothing is in its way

    async def at_work(self, count: int, within: float = PATIENCE) -> list[str]:
        await self.until(lambda: _is(len(self.told("in")) >= count), within)
        return self.told("in")

    async def until(self, holds: Callable[[], Any], within: float = PATIENCE) -> None:
        async with asyncio.timeout(within):
            while not await holds():
                await asyncio.sleep(0.05)

    async def view(self, tenant: str | None = "") -> LedgerView:
        ledger: Any = self.runtime.client.get_workflow_handle(ledger_id(self.tenant if tenant == "" else tenant))
        return LedgerView.model_validate(await ledger.query(names.BOOKS))

    async def waiting(self, count: int) -> None:
        async def wait() -> bool:
            with contextlib.suppress(RPCError):  # nobody may have asked the ledger yet
                return (await self.view()).waiting == count
            return False

        await self.until(wait)


async def _is(holds: bool) -> bool:
    return holds


async def state(run: Handle) -> dict[str, Any]:
    answer: dict[str, Any] = await run.query(names.STATUS)
    return answer


async def result(run: Handle) -> RunResult:
    return RunResult.model_validate(await asyncio.wait_for(run.result(), PATIENCE))


@pytest.fixture
def house(client: Client, agent_folder: Callable[..., Path], tmp_path: Path) -> Opener:
    """Opens a runtime whose org.toml says this; in it TENANT stands for a tenant of the test's own."""

    @contextlib.asynccontextmanager
    async def opened(org: str = "", toml: str = "", **settings: Any) -> AsyncGenerator[House]:
        tenant = f"acme {tmp_path.name}"
        (tmp_path / "org").mkdir(exist_ok=True)
        (tmp_path / "org" / "org.toml").write_text(org.replace("TENANT", f'"{tenant}"'))
        agents = agent_folder("clerk", toml, TOOLS)
        given = {"policies": [tmp_path / "org"], "client": client, "agents": agents, **settings}
        async with local_runtime(WORK, **given) as runtime:
            yield House(runtime, tenant, agents / "clerk")

    return opened


AT_ONCE = "[limits.tenants.TENANT]\nruns_at_once = 2\n"


async def test_of_five_runs_two_work_at_a_time_and_the_others_wait_in_the_order_of_their_starts(house: Opener) -> None:
    async with house(AT_ONCE) as shop:
        runs = await shop.started(5)
        await shop.at_work(2)
        await shop.waiting(3)
        await shop.until(lambda: _queued(runs[4]))
        waits = await state(runs[4])
        assert (waits["state"], waits["spent"]["model_calls"]) == ("queued", 0)
        await asyncio.sleep(1.5)  # its seconds stand still while it is queued, however long its admission took
        assert (await state(runs[4]))["spent"]["seconds"] == waits["spent"]["seconds"] <= 5
        assert waits["trouble"].startswith("place 3 in the queue at ")
        assert waits["trouble"].endswith(" UTC: 2 at once, by the limit runs_at_once:tenant")
        for number in range(5):
            working = await shop.at_work(min(5, number + 2), SOON)
            assert set(working[:2]) == {run.id for run in runs[:2]}  # which of two at once is first is chance
            assert working[2:] == [run.id for run in runs[2 : len(working)]]
            shop.open(runs[number])
            await result(runs[number])
        assert sorted(shop.told("in")) == sorted(run.id for run in runs)
        assert shop.most_at_once() == 2
        assert (await shop.view()).books.sums.at("tenant", RUNS, NOW).held == 0


async def _queued(run: Handle) -> bool:
    return ((await state(run))["trouble"] or "").startswith("place ")


async def test_a_killed_run_a_terminated_one_and_one_that_is_killed_while_it_waits_make_room(house: Opener) -> None:
    async with house() as shop:
        await shop.limit(2)
        runs = await shop.started(6)
        await shop.at_work(2)
        await shop.waiting(4)
        await runs[2].execute_update(names.KILL, {"by": "olga", "reason": "not this one"})
        killed = await result(runs[2])
        assert (killed.stop_reason, killed.spent.model_calls) == ("killed", 0)
        await runs[3].terminate()
        await runs[0].execute_update(names.KILL, {"by": "olga", "reason": "nor this one"})
        assert (await shop.at_work(3, SOON))[2] == runs[4].id
        await runs[1].terminate()
        assert (await shop.at_work(4, SOON))[3] == runs[5].id
        shop.open()
        assert {(await result(run)).status for run in runs[4:]} == {"completed"}


async def test_a_limit_that_is_raised_or_taken_away_lets_those_that_wait_go_on(house: Opener) -> None:
    async with house() as shop:
        await shop.limit(1)
        runs = await shop.started(5)
        await shop.at_work(1)
        await shop.waiting(4)
        await shop.limit(3)
        assert (await shop.at_work(3, SOON))[:1] == [runs[0].id]
        assert sorted(shop.told("in")) == [run.id for run in runs[:3]]
        await shop.limit(None)
        await shop.at_work(5, SOON)
        shop.open()
        for run in runs:
            await result(run)


async def test_runs_that_began_before_there_was_a_limit_count(house: Opener) -> None:
    async with house() as shop:
        before = await shop.started(2)
        await shop.at_work(2)
        await shop.limit(2)
        after = await shop.start(2)
        await shop.waiting(1)
        await shop.until(lambda: _queued(after))
        assert len(shop.told("in")) == 2
        shop.open(before[0])
        assert (await shop.at_work(3, SOON))[2] == after.id
        shop.open()
        for run in (before[1], after):
            assert (await result(run)).status == "completed"


async def test_a_ledger_that_is_lost_lets_nobody_in_too_much_and_keeps_the_order(house: Opener) -> None:
    async with house(AT_ONCE) as shop:
        runs = await shop.started(4)
        await shop.at_work(2)
        await shop.waiting(2)
        await shop.until(lambda: _queued(runs[3]))
        await shop.runtime.client.get_workflow_handle(ledger_id(shop.tenant)).terminate()
        shop.open(runs[0])
        await result(runs[0])
        late = await shop.start(4)
        assert (await shop.at_work(3, PATIENCE))[2] == runs[2].id
        shop.open(runs[1])
        assert (await shop.at_work(4, SOON))[3] == runs[3].id
        shop.open()
        for run in (*runs[2:], late):
            await result(run)
        assert shop.most_at_once() == 2


async def test_a_run_whose_turn_comes_while_the_control_plane_is_lost_waits_for_a_confirmation(house: Opener) -> None:
    async with dev_server() as server, house(AT_ONCE, client=server.client) as shop:
        runs = await shop.started(3)
        await shop.at_work(2)
        await shop.waiting(1)
        await server.client.get_workflow_handle(names.CONTROL_ID).terminate()
        await asyncio.sleep(3)  # no worker has a copy of it any more
        await runs[0].execute_update(names.KILL, {"by": "olga", "reason": "make room"})
        await shop.until(lambda: _is_held(runs[2]))
        assert (await state(runs[2]))["state"] == "queued"
        await control_plane.confirm(server.client, ConfirmOrder(by="olga", reason="nothing was stopped"))
        shop.open()
        assert [(await result(run)).status for run in runs[1:]] == ["completed", "completed"]


async def _is_held(run: Handle) -> bool:
    return "the control plane was lost" in ((await state(run))["trouble"] or "")


async def test_temporals_own_cancel_ends_a_run_that_waits(house: Opener) -> None:
    async with house(AT_ONCE.replace("2", "1")) as shop:
        first = await shop.start(0)
        await shop.at_work(1)
        second = await shop.start(1)
        await shop.waiting(1)
        await shop.until(lambda: _queued(second))
        await second.cancel()
        with pytest.raises(WorkflowFailureError):
            await asyncio.wait_for(second.result(), SOON)
        await shop.waiting(0)
        shop.open()
        await result(first)


async def test_the_seconds_of_a_run_do_not_pass_while_it_waits(house: Opener) -> None:
    async with house(AT_ONCE.replace("2", "1"), "[budget]\nseconds = 4\n") as shop:
        began = time.monotonic()
        first, second = await shop.started(2)
        await shop.at_work(1)
        await shop.until(lambda: _queued(second))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(result(first), SOON)
        await shop.at_work(2, SOON)
        assert time.monotonic() - began > 4
        shop.open()
        assert (await result(second)).stop_reason == "completed"


async def test_the_runs_of_a_tenant_with_many_keep_no_runs_of_another_waiting(house: Opener) -> None:
    """Twenty-four runs come first, two of another tenant after them, and the worker does three things at a time."""
    async with house(worker=False) as shop:
        shop.open()
        many = await shop.started(24)
        few = [await shop.start(100 + number, tenant=f"few {shop.tenant}") for number in range(2)]
        async with shop.runtime.serving(max_concurrent_activities=3, disable_eager_activity_execution=True):
            for run in few:
                await result(run)
            left = [run for run in many if (await run.describe()).close_time is None]
            assert len(left) >= 4, "the few came last"
            await asyncio.gather(*(run.terminate() for run in left), return_exceptions=True)
