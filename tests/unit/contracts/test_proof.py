"""What is signed: the whole message but its proof."""

import json
from typing import Any

import pytest

from backstay.contracts.messages import Answer, Edit, Hold, Vote
from backstay.contracts.problems import Contract
from backstay.contracts.proof import METADATA_KEY, SignedMessage, VerifyInput, VerifyResult, sent
from backstay.contracts.run import RunRequest

SIGNED = SignedMessage(namespace="default", run_id="run-1", message="approve", content={"by": "ann"})


@pytest.mark.parametrize(
    ("message", "content"),
    [
        (Hold(by="ann", proof="p"), {"by": "ann"}),
        (
            Vote(approval_id="apr_1", by="ann", comment="fine", proof="p"),
            {"approval_id": "apr_1", "by": "ann", "comment": "fine"},
        ),
        (
            Answer(approval_id="apr_1", by="ann", answer="happened", result={"id": None}),
            {"approval_id": "apr_1", "by": "ann", "answer": "happened", "result": {"id": None}},
        ),
        (
            Edit(approval_id="apr_1", by="ann", args={"proof": "x", "to": None}),
            {"approval_id": "apr_1", "by": "ann", "args": {"proof": "x", "to": None}},
        ),
    ],
)
def test_all_of_a_message_is_signed_but_its_proof_and_what_is_left_out(
    message: Contract, content: dict[str, Any]
) -> None:
    assert sent(message) == content


def test_all_of_a_start_is_signed_with_its_defaults_and_without_its_proof() -> None:
    request = RunRequest.model_validate(
        {"goal": "pay", "budget": {"usd": "0.10"}, "metadata": {"a": "b", METADATA_KEY: "p"}}
    )
    assert request.proof == "p"
    assert request.unsigned().metadata == {"a": "b"}
    assert request.content() == {
        "goal": "pay",
        "agent": "default",
        "tenant": "default",
        "budget": {"usd": "0.10", "tools": {}},
        "metadata": {"a": "b"},
    }


def test_a_start_without_a_proof_is_as_it_was() -> None:
    request = RunRequest(goal="pay")
    assert request.proof is None
    assert request.unsigned() is request


@pytest.mark.parametrize(
    "value", [SIGNED, VerifyInput(signed=SIGNED, by=None, proof="p", at_ms=1), VerifyResult(code="ProofInvalid")]
)
def test_what_crosses_to_the_activity_arrives_as_it_was(value: Contract) -> None:
    assert type(value).model_validate(json.loads(value.model_dump_json())) == value
