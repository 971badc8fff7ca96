"""What is in force over all runs is asked on every path to an effect, and runs wait, stand still or end with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.testing import Call, Failure, Reply
from tests.workflow.test_approvals import PAY_500, till

if TYPE_CHECKING:
    from tests.workflow.conftest import Handle, Opener, Workshop
    from tests.workflow.test_approvals import Opener as TillOpener

    Refusal = Callable[[Awaitable[Any]], Awaitable[ApplicationError]]

__all__ = ["till"]

WHO = {"by": "olga@example.com", "reason": "it pays twice"}
WHY = "is stopped by olga@example.com: it pays twice"
GATE, NOTE, DONE = Reply(calls=[Call("gate")]), Reply(calls=[Call("note", {"text": "paid"})]), Reply("done")


async def stop(plane: WorkflowHandle[Any, Any], scope: str, **more: Any) -> None:
    await plane.execute_update(names.STOP, {**WHO, "incident_id": scope, "scope": scope, **more})


async def lift(plane: WorkflowHandle[Any, Any], scope: str, **more: Any) -> None:
    await plane.execute_update(names.LIFT, {**WHO, "incident_id": scope, **more})


async def tell(handle: Handle, do: str) -> None:
    await handle.signal(names.INCIDENT, {**WHO, "incident_id": "i1", "do": do})


async def held(here: Workshop, handle: Handle, why: str) -> None:
    """Waits until a run says why it does not go on."""

    async def says() -> bool:
        return why in ((await handle.query("status"))["trouble"] or "")

    await here.until(says)


async def _frozen(here: Workshop, handle: Handle) -> bool:
    return await here.state(handle) == "paused"


async def test_a_start_in_the_scope_of_a_stop_is_refused_and_any_other_goes_on(
    workshop: Opener, plane: WorkflowHandle[Any, Any]
) -> None:
    async with workshop([DONE]) as here:
        await stop(plane, "tenant:acme")
        await asyncio.sleep(0.5)
        refused = await here.failure(await here.start(tenant="acme"))
        assert (refused.type, refused.message) == ("IncidentStop", f"tenant:acme {WHY}")
        assert (await here.run(tenant="globex")).stop_reason == "completed"
        await lift(plane, "tenant:acme")
        await asyncio.sleep(0.5)
        assert (await here.run(tenant="acme")).stop_reason == "completed"


async def test_a_call_waits_at_the_boundary_while_its_tool_is_stopped_and_other_tools_go_on(
    workshop: Opener, plane: WorkflowHandle[Any, Any]
) -> None:
    look = Reply(calls=[Call("note", {"text": "paid"}), Call("count")])
    async with workshop([GATE, look, DONE]) as here:
        handle = await here.at_the_gate()
        await stop(plane, "tool:note")
        await asyncio.sleep(0.5)
        here.open("gate")
        await held(here, handle, f"tool:note {WHY}")
        await here.effects("counted")
        assert "paid" not in here.lines()
        await lift(plane, "tool:note")
        result = await here.result(handle)
        assert (result.stop_reason, here.lines().count("paid"), result.spent.tool_calls) == ("completed", 1, 3)


async def test_a_decision_waits_while_its_model_is_stopped_and_costs_nothing_meanwhile(
    workshop: Opener, plane: WorkflowHandle[Any, Any]
) -> None:
    async with workshop([GATE, DONE]) as here:
        handle = await here.at_the_gate()
        model = (await here.audit(handle, "admitted"))[0]["model"]
        await stop(plane, f"model:{model}")
        await asyncio.sleep(0.5)
        here.open("gate")
        await held(here, handle, f"model:{model} {WHY}")
        assert len(here.model.requests) == 1
        await lift(plane, f"model:{model}")
        result = await here.result(handle)
        assert (result.stop_reason, result.spent.model_calls, len(here.model.requests)) == ("completed", 2, 2)


async def test_a_decision_that_had_failed_before_the_stop_is_made_again_however_long_the_stop_lasts(
    workshop: Opener, plane: WorkflowHandle[Any, Any]
) -> None:
    failing = [Failure(503, retry_after=2), DONE, DONE]
    async with workshop(failing, toml='[model]\ngive_up_after = "10s"\n') as here:
        handle = await here.start()
        await here.asked(1)
        model = (await here.audit(handle, "admitted"))[0]["model"]
        await stop(plane, f"model:{model}")
        await held(here, handle, f"model:{model} {WHY}")
        await asyncio.sleep(10)  # longer than failed attempts are repeated
        await lift(plane, f"model:{model}")
        result = await here.result(handle)
        assert (result.stop_reason, result.spent.model_calls) == ("completed", 2)


async def test_reads_models_and_writes_are_opened_again_one_after_the_other(
    workshop: Opener, plane: WorkflowHandle[Any, Any]
) -> None:
    async with workshop([GATE, Reply(calls=[Call("count")]), NOTE, DONE]) as here:
        handle = await here.at_the_gate()
        await stop(plane, "all", freeze=True)
        await here.until(lambda: _frozen(here, handle))
        here.open("gate")
        await lift(plane, "all", stage="models")
        await here.effects("counted")
        await held(here, handle, f"all {WHY}")
        assert "paid" not in here.lines()
        refused = await here.failure(await here.start())
        assert refused.type == "IncidentStop"
        await lift(plane, "all", stage="writes")
        assert (await here.result(handle)).stop_reason == "completed"
        assert here.lines().count("paid") == 1


async def test_a_blocked_tool_is_refused_and_the_model_is_told_by_whom_and_why(
    workshop: Opener, plane: WorkflowHandle[Any, Any]
) -> None:
    async with workshop([NOTE, DONE]) as here:
        await plane.execute_update(names.BLOCK, {**WHO, "tool": "note", "tenant": "acme"})
        await asyncio.sleep(0.5)
        result = await here.run(tenant="acme")
        assert (result.stop_reason, here.lines()) == ("completed", [])
        assert here.answers()[0][1] == "denied: the tool is blocked by olga@example.com: it pays twice"


async def test_a_stopped_run_ends_at_once_with_its_reason_and_says_what_was_under_way(
    workshop: Opener, plane: WorkflowHandle[Any, Any]
) -> None:
    async with workshop([GATE, DONE]) as here:
        handle = await here.at_the_gate()
        await tell(handle, "stop")
        result = await here.result(handle)
        assert (result.status, result.stop_reason) == ("stopped", "incident_stop")
        assert result.stop_detail == "by olga@example.com: it pays twice"
        assert [flight.tool for flight in result.in_flight] == ["gate"]


async def test_the_approvals_of_a_frozen_run_are_frozen_with_it_and_do_not_expire(
    till: TillOpener, plane: WorkflowHandle[Any, Any], refusal: Refusal
) -> None:
    expires = 'expires_after = "3s"\n'
    toml = '[approval]\ngroups = { finance = ["alice", "bob", "rita"], board = ["ben"] }\n' + expires
    async with till(Reply(calls=[PAY_500]), DONE, toml=toml) as here:
        handle = await here.start()
        asked = await here.asked(handle)
        await tell(handle, "freeze")
        vote = {"approval_id": asked["approval_id"], "by": "alice"}
        refused = await refusal(handle.execute_update("approve", vote))
        assert (refused.type, refused.message) == ("Frozen", "the run is frozen by the incident i1")
        await asyncio.sleep(4)  # longer than the approval lives
        status = await handle.query("status")
        assert (status["state"], len(status["pending_approvals"])) == ("paused", 1)
        await tell(handle, "thaw")
        assert (await handle.execute_update("approve", vote))["state"] == "closed"
        assert (await handle.result())["stop_reason"] == "completed"
        assert here.done == ["paid acme 500"]


async def test_without_a_control_plane_starts_and_effects_wait_and_go_on_once_somebody_confirms(
    workshop: Opener, plane: WorkflowHandle[Any, Any]
) -> None:
    async with workshop([GATE, NOTE, DONE]) as here:
        handle = await here.at_the_gate()
        await plane.terminate()
        await asyncio.sleep(2.5)
        here.open("gate")
        await held(here, handle, "the control plane was lost, and nobody has confirmed what is in force")
        assert "paid" not in here.lines()
        new = await here.start()
        await held(here, new, "the control plane was lost")
        assert await here.state(new) == "queued"
        await new.execute_update("kill", {"by": "olga", "reason": "not needed"})
        assert (await here.result(new)).stop_reason == "killed"
        await plane.execute_update(names.CONFIRM, WHO)
        assert (await here.result(handle)).stop_reason == "completed"
        assert here.lines().count("paid") == 1
