"""The right to start runs gives nobody a run of somebody else's, and no start ends a run by what it holds."""

import uuid
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from backstay.client.client import BackstayClient
from backstay.contracts.run import RunRequest
from backstay.errors import RunConflictError, RunExistsError
from backstay.testing import Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

WANTED = RunRequest(goal="Pay invoice 7.", tenant="acme", requested_by="ann@example.com")
OTHERS = {
    "goal": {"goal": "Pay invoice 8."},
    "tenant": {"tenant": "globex"},
    "requested_by": {"requested_by": None},
    "metadata": {"metadata": {"ticket": "T1"}},
}


@pytest.fixture
async def runtime(client: Client) -> AsyncGenerator[LocalRuntime]:
    async with local_runtime([Reply("done")], client=client) as started:
        yield started


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
async def test_an_id_that_belongs_to_another_input_is_a_conflict_and_no_run_of_somebody_elses(
    client: Client, closed: bool, other: dict[str, Any]
) -> None:
    queue, run_id = f"agents-{uuid.uuid4()}", f"run-{uuid.uuid4()}"
    backstay = BackstayClient(client, queue)
    await backstay.start(WANTED.model_copy(update=other), run_id)
    if closed:
        await client.get_workflow_handle(run_id).terminate()
    with pytest.raises(RunConflictError, match=run_id):
        await backstay.start(WANTED, run_id)


async def test_the_same_start_again_is_the_same_run_until_it_has_closed(runtime: LocalRuntime) -> None:
    backstay = BackstayClient(runtime.client, runtime.settings.task_queue)
    run_id = f"run-{uuid.uuid4()}"
    assert (await backstay.start(WANTED, run_id)).run_id == run_id
    await backstay.result(run_id)
    with pytest.raises(RunExistsError):
        await backstay.start(WANTED, run_id)


async def test_the_same_start_by_another_client_is_the_same_run(client: Client) -> None:
    queue, run_id = f"agents-{uuid.uuid4()}", f"run-{uuid.uuid4()}"
    written = {"requested_by": "ann@example.com", "tenant": "acme", "goal": "Pay invoice 7."}  # without the defaults
    await client.start_workflow("AgentRun", written, id=run_id, task_queue=queue)
    assert (await BackstayClient(client, queue).start(WANTED, run_id)).run_id == run_id


@pytest.mark.parametrize("kind", ["Impostor", "Effect"])
async def test_a_workflow_of_another_type_is_no_run(client: Client, kind: str) -> None:
    queue, run_id = f"agents-{uuid.uuid4()}", f"run-{uuid.uuid4()}"
    await client.start_workflow(kind, WANTED.model_dump(), id=run_id, task_queue=queue)
    with pytest.raises(RunConflictError):
        await BackstayClient(client, queue).start(WANTED, run_id)


TENANTS = {
    "nul": "ac\0me",
    "line break": "ac\nme",
    "escape": "\x1b[2J",
    "zero width": "ac\u200bme",
    "right to left": "\u202eemca",
    "private use": "ac\ue000me",
    "too long in bytes": "\N{GRINNING FACE}" * 200,
}


@pytest.mark.parametrize("tenant", list(TENANTS))
async def test_a_tenant_that_cannot_be_a_search_attribute_is_invalid_input(runtime: LocalRuntime, tenant: str) -> None:
    with pytest.raises(WorkflowFailureError) as refused:
        await runtime.run_to_end({"goal": "go", "tenant": TENANTS[tenant]})
    cause = refused.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "InvalidInput"
    assert "tenant" in cause.message
    assert TENANTS[tenant] not in cause.message


async def test_a_tenant_may_have_a_name_of_any_language(runtime: LocalRuntime) -> None:
    assert (await runtime.run_to_end({"goal": "go", "tenant": "Ærø & Söhne (株)"})).tenant == "Ærø & Söhne (株)"
