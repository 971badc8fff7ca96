"""Whoever may start names anybody: where proofs are verified, a start is a run only with a proof of its own."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from backstay.contracts.proof import START, SignedMessage
from backstay.contracts.run import RunRequest

from .office import BOB, CANARY, REQUEST, RITA, Office, last_other

pytestmark = pytest.mark.asyncio(loop_scope="module")

Start = dict[str, Any]


def start_proof(office: Office, run_id: str, signer: str = RITA, age: int = 0, **changes: Any) -> str:
    content = RunRequest.model_validate({**REQUEST, **changes}).content()
    signed = SignedMessage(namespace=office.client.namespace, run_id=run_id, message=START, content=content)
    return office.proof(signer, signed, age)


NO_STARTS: dict[str, Callable[[Office, str], Start]] = {
    "no proof": lambda office, run_id: REQUEST,
    "any text": lambda office, run_id: {**REQUEST, "metadata": {"backstay.proof": CANARY}},
    "another person's": lambda office, run_id: signed_start(start_proof(office, run_id, BOB)),
    "for another run": lambda office, run_id: signed_start(start_proof(office, "run-another")),
    "for another goal": lambda office, run_id: signed_start(start_proof(office, run_id, goal="wait")),
    "for another tenant": lambda office, run_id: signed_start(start_proof(office, run_id, tenant="default")),
    "for other metadata": lambda office, run_id: signed_start(start_proof(office, run_id, metadata={"a": "b"})),
    "for other limits": lambda office, run_id: signed_start(start_proof(office, run_id, budget={"steps": 1})),
    "old": lambda office, run_id: signed_start(start_proof(office, run_id, age=660)),
    "nobody's": lambda office, run_id: signed_start(start_proof(office, run_id, requested_by=None), requested_by=None),
    "for a tenant that is not the person's": lambda office, run_id: signed_start(
        start_proof(office, run_id, tenant="globex"), tenant="globex"
    ),
}


def signed_start(proof: str, **changes: Any) -> Start:
    return {**REQUEST, **changes, "metadata": {"backstay.proof": proof}}


@pytest.mark.parametrize("forge", NO_STARTS.values(), ids=NO_STARTS)
async def test_a_start_whose_requester_and_tenant_are_not_proven_is_no_run(
    office: Office, forge: Callable[[Office, str], Start]
) -> None:
    run_id = f"run-{uuid.uuid4()}"
    handle = await office.runtime.start(forge(office, run_id), run_id)
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "InvalidInput"
    assert cause.details[0][0]["field"] == "metadata.backstay.proof"
    assert CANARY not in str(cause)


async def test_a_proof_starts_one_run_and_pays_once(office: Office) -> None:
    run_id = f"run-{uuid.uuid4()}"

    async def ended(proof: str) -> str:
        handle = await office.runtime.start(signed_start(proof, goal="note"), run_id)
        try:
            return str((await handle.result())["status"])
        except WorkflowFailureError as failed:
            return str(getattr(failed.cause, "type", ""))

    proof = start_proof(office, run_id, goal="note")
    respelled = [last_other(proof), proof.replace(".", ".0", 1)]
    assert [await ended(text) for text in (proof, proof, *respelled, proof)] == ["completed", *["InvalidInput"] * 4]
    assert await ended(start_proof(office, run_id, age=90, goal="note")) == "completed"  # signed at another time
    assert await ended(proof) == "InvalidInput"


async def test_a_start_with_a_proof_that_nothing_verifies_is_no_run(trusting: Office) -> None:
    handle = await trusting.runtime.start(signed_start(CANARY))
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert "BACKSTAY_PEOPLE_KEYS" in str(failed.value.cause)
