"""Orders to the control plane: they start one where there is none, reach one that was lost, and are given again."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from backstay.adapters.engine.control_plane import Found, find
from backstay.app import folders
from backstay.client import control_plane
from backstay.client.control_plane import PlaneState, allow, block, confirm, in_force, lift, limit, stop
from backstay.contracts import names
from backstay.contracts.control import AccessOrder, ConfirmOrder, LiftOrder, LimitOrder, StopOrder
from backstay.errors import ControlUnansweredError, OrderRefusedError
from backstay.kernel.control import Stage
from backstay.kernel.scope import Subject

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from temporalio.client import Client, WorkflowHandle

    Handle = WorkflowHandle[Any, Any]

BY, WHY = "olga@example.com", "it pays twice"
CALL = Subject("run-1", "clerk", "acme", tool="pay")
STOP = StopOrder(by=BY, reason=WHY, incident_id="i1", scope="all")
BLOCK = AccessOrder(by=BY, reason=WHY, tool="pay")
CONFIRM = ConfirmOrder(by=BY, reason=WHY)


@contextlib.asynccontextmanager
async def serving(client: Client) -> AsyncGenerator[None]:
    runner, workflows = UnsandboxedWorkflowRunner(), [folders.control_plane.ControlPlane]
    async with Worker(client, task_queue=names.CONTROL_QUEUE, workflows=workflows, workflow_runner=runner):
        yield


async def test_each_order_is_in_force_when_it_is_answered_and_the_first_starts_the_control_plane(
    client: Client, plane: Handle
) -> None:
    assert (await in_force(client)).state is PlaneState.MISSING
    async with serving(client):
        assert (await block(client, BLOCK)).state.blocked(CALL) is not None
        await limit(client, LimitOrder(by=BY, reason=WHY, tenant="acme", runs=5))
        await stop(client, STOP)
        now = await in_force(client)
        assert (now.state, now.view and dict(now.view.state.runs)) == (PlaneState.CONFIRMED, {"acme": 5})
        assert now.view is not None
        assert [one.id for one in now.view.state.stops] == ["i1"]
        await lift(client, LiftOrder(by=BY, reason=WHY, incident_id="i1"))
        view = await allow(client, BLOCK)
        assert (view.state.stops, view.state.blocks) == ([], ())
    assert (await in_force(client)).view == view  # nobody serves it, and it can be read


async def test_what_is_refused_is_told_with_its_reason(client: Client, plane: Handle) -> None:
    async with serving(client):
        with pytest.raises(OrderRefusedError) as refused:
            await lift(client, LiftOrder(by=BY, reason=WHY, incident_id="i2"))
        assert refused.value.reason == "unknown_incident"
        assert str(refused.value) == "the control plane refused: there is no incident of that id"


async def test_an_order_after_a_loss_is_obeyed_and_says_that_nobody_has_confirmed(
    client: Client, plane: Handle
) -> None:
    async with serving(client):
        await stop(client, STOP)
        await plane.terminate()
        ended = await in_force(client)
        assert (ended.state, ended.view and len(ended.view.state.stops)) == (PlaneState.ENDED, 1)
        view = await block(client, BLOCK)
        assert not view.state.confirmed
        assert view.last is not None
        assert [one.id for one in view.last.stops] == ["i1"]
        assert (await in_force(client)).state is PlaneState.UNCONFIRMED
        confirmed = (await confirm(client, CONFIRM)).state
        assert confirmed.blocked(CALL) is not None
        assert confirmed.holds(Stage.READS, CALL) is not None


async def test_many_orders_at_once_are_all_obeyed_though_the_engine_takes_ten_at_a_time(
    client: Client, plane: Handle
) -> None:
    async with serving(client):
        orders = [AccessOrder(by=BY, reason=WHY, tool=f"tool{n}") for n in range(30)]
        await asyncio.gather(*(block(client, order) for order in orders))
        view = (await in_force(client)).view
        assert view is not None
        assert {one.tool for one in view.state.blocks} == {order.tool for order in orders}


async def test_orders_go_on_over_links_and_the_first_link_says_since_when(
    client: Client, plane: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders.control_plane, "CHANGES_PER_LINK", 2)
    async with serving(client):
        await block(client, BLOCK)
        first = (await in_force(client)).since
        for number in range(6):
            await limit(client, LimitOrder(by=BY, reason=WHY, tenant=f"t{number}", runs=number))
        now = await in_force(client)
        assert now.view is not None
        assert (len(now.view.state.runs), now.since) == (6, first)
        assert (await plane.describe()).start_time != first


@pytest.mark.parametrize("there", [True, False], ids=["one that ran", "one that began meanwhile"])
async def test_an_order_never_takes_one_that_ends_under_its_hands_for_one_that_never_was(
    client: Client, plane: Handle, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    looks = 0

    async def look(asked: Client, patience: timedelta) -> Found | None:
        nonlocal looks
        looks += 1
        if looks > 1:
            return await find(asked, patience)
        if not there:
            found = await find(asked, patience)
            await block(client, BLOCK)
            await plane.terminate()
            return found
        await block(client, BLOCK)
        found = await find(asked, patience)
        await plane.terminate()
        return found

    async with serving(client):
        monkeypatch.setattr(control_plane, "find", look)
        view = await stop(client, STOP)
        assert not view.state.confirmed
        assert view.last is not None
        assert [one.tool for one in view.last.blocks] == ["pay"]


async def test_an_id_that_something_else_occupies_is_no_control_plane(client: Client, plane: Handle) -> None:
    await client.start_workflow("Somebody", id=names.CONTROL_ID, task_queue=names.CONTROL_QUEUE)
    assert (await in_force(client)).state is PlaneState.UNREADABLE


async def test_an_order_that_nobody_serves_says_so(
    client: Client, plane: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_plane, "_PATIENCE", timedelta(seconds=0.5))
    with pytest.raises(ControlUnansweredError):
        await block(client, BLOCK)
    assert (await in_force(client)).state is PlaneState.CONFIRMED
    with pytest.raises(ControlUnansweredError):
        await stop(client, STOP)
