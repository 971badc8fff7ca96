"""The workflow of the control plane by itself: what it has in force, how it is lost, and how it is confirmed."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from backstay.app import folders
from backstay.contracts import names
from backstay.contracts.control import ControlInput, ControlView
from backstay.contracts.run import plain
from backstay.kernel.control import Stage
from backstay.kernel.scope import Subject

CALL = Subject("run-1", "clerk", "acme", tool="pay")
WHO = {"by": "olga@example.com", "reason": "it pays twice"}
STOP = {**WHO, "incident_id": "i1", "scope": "tenant:acme", "freeze": True}

Handle = WorkflowHandle[Any, Any]


@contextlib.asynccontextmanager
async def plane(client: Client, given: ControlInput | None = None) -> AsyncGenerator[Handle]:
    """A control plane on a queue of its own."""
    queue = f"control-{uuid.uuid4()}"
    runner = UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue=queue, workflows=[folders.control_plane.ControlPlane], workflow_runner=runner):
        started = plain(given or ControlInput())
        handle: Handle = await client.start_workflow(names.CONTROL_PLANE, started, id=queue, task_queue=queue)
        yield handle
        await handle.terminate()


async def told(handle: Handle, name: str, **order: Any) -> ControlView:
    return ControlView.model_validate(await handle.execute_update(name, order))


async def shown(handle: Handle) -> ControlView:
    """What workers read: the memo, which needs nobody to answer."""
    return ControlView.model_validate((await (await handle.describe()).memo())[names.IN_FORCE])


def open_stages(view: ControlView) -> list[Stage]:
    return [stage for stage in Stage if view.state.holds(stage, CALL) is None]


async def refusal(handle: Handle, name: str, **order: Any) -> ApplicationError:
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await told(handle, name, **order)
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    return cause


async def test_a_stop_is_in_force_where_workers_read_it_and_is_lifted_in_stages(client: Client) -> None:
    async with plane(client) as handle:
        view = await told(handle, names.STOP, **STOP)
        assert open_stages(view) == open_stages(await shown(handle)) == []
        again = await told(handle, names.STOP, **STOP)
        assert again.state == view.state
        await told(handle, names.LIFT, **WHO, incident_id="i1", stage="models")
        assert open_stages(await shown(handle)) == [Stage.READS, Stage.MODELS]
        ended = await told(handle, names.LIFT, **WHO, incident_id="i1")
        assert open_stages(ended) == list(Stage)
        [incident] = ended.state.incidents.values()
        assert [one.by for one in incident.lifted] == [WHO["by"], WHO["by"]]


async def test_what_cannot_be_done_is_refused_with_words_and_changes_nothing(client: Client) -> None:
    async with plane(client) as handle:
        before = await told(handle, names.STOP, **STOP)
        other = await refusal(handle, names.STOP, **{**STOP, "scope": "all"})
        assert (other.type, other.message) == (names.REFUSED_ORDER, "the incident of that id stops something else")
        unknown = await refusal(handle, names.LIFT, **WHO, incident_id="i2")
        assert unknown.message == "there is no incident of that id"
        unfit = await refusal(handle, names.STOP, **{**STOP, "scope": "everything"})
        assert "`scope`: a scope is `all` or one of tenant:NAME" in unfit.message
        assert (await shown(handle)).state == before.state


async def test_tools_are_blocked_and_runs_are_limited(client: Client) -> None:
    async with plane(client) as handle:
        await told(handle, names.BLOCK, **WHO, tool="pay", tenant="acme")
        view = await told(handle, names.LIMIT, **WHO, tenant="acme", runs=5)
        assert view.state.blocked(CALL) is not None
        assert view.state.runs == {"acme": 5}
        allowed = await told(handle, names.ALLOW, **WHO, tool="pay", tenant="acme")
        assert allowed.state.blocked(CALL) is None


async def test_one_that_was_lost_allows_reads_alone_until_somebody_confirms_what_was_known(client: Client) -> None:
    async with plane(client) as handle:
        known = (await told(handle, names.STOP, **STOP)).state
    async with plane(client, ControlInput(lost=True, last=known)) as handle:
        lost = ControlView.model_validate(await handle.query(names.IN_FORCE))
        assert open_stages(lost) == [Stage.READS]
        confirmed = await told(handle, names.CONFIRM, **WHO)
        assert open_stages(confirmed) == []
        assert confirmed.state.holds(Stage.READS, CALL) == known.holds(Stage.READS, CALL)
        assert (await told(handle, names.CONFIRM, **WHO)).state == confirmed.state


async def test_it_continues_as_new_with_all_that_is_in_force_and_shows_it_all_the_time(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders.control_plane, "CHANGES_PER_LINK", 3)
    async with plane(client) as handle:
        first = (await handle.describe()).run_id
        for number in range(5):
            await told(handle, names.LIMIT, **WHO, tenant=f"t{number}", runs=number)
            assert (await shown(handle)).state.runs[f"t{number}"] == number
        assert (await handle.describe()).run_id != first
        assert len((await shown(handle)).state.runs) == 5


@pytest.mark.parametrize(
    "given", [{"state": plain(ControlInput(lost=True))}, {"state": {"version": 3}}, {"lost": "perhaps"}, "all"]
)
async def test_a_start_with_a_forged_state_is_refused(client: Client, given: Any) -> None:
    queue = f"control-{uuid.uuid4()}"
    runner = UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue=queue, workflows=[folders.control_plane.ControlPlane], workflow_runner=runner):
        with pytest.raises(WorkflowFailureError) as caught:
            await client.execute_workflow(names.CONTROL_PLANE, given, id=queue, task_queue=queue)
        assert isinstance(caught.value.cause, ApplicationError)
        assert caught.value.cause.type == names.INVALID_INPUT
