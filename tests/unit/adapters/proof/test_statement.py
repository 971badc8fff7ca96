"""The text that is signed: another message is another text."""

import base64

import pytest

from backstay.adapters.proof.statement import Signature, nonce, statement
from backstay.contracts.proof import SignedMessage

MESSAGE = SignedMessage(namespace="default", run_id="run-1", message="approve", content={"by": "änn", "amount": 5.0})
OTHERS = [
    MESSAGE.model_copy(update=change)
    for change in (
        {"namespace": "other"},
        {"run_id": "run-2"},
        {"message": "deny"},
        {"content": {"by": "bob", "amount": 5}},
        {"content": {"by": "änn"}},
    )
]


def test_the_text_is_one_that_any_language_can_spell() -> None:
    assert statement(MESSAGE, 7).decode() == (
        '{"at":7,"backstay":"backstay.proof/1","content":{"amount":5,"by":"änn"},'
        '"message":"approve","namespace":"default","run_id":"run-1"}'
    )


@pytest.mark.parametrize("other", OTHERS)
def test_another_message_is_another_text_and_another_nonce(other: SignedMessage) -> None:
    assert statement(other, 7) != statement(MESSAGE, 7)
    assert nonce(other) != nonce(MESSAGE)


def test_another_time_is_another_text() -> None:
    assert statement(MESSAGE, 8) != statement(MESSAGE, 7)


def test_a_message_that_cannot_be_spelled_cannot_be_signed() -> None:
    with pytest.raises(ValueError, match="safe"):
        statement(MESSAGE.model_copy(update={"content": {"n": 10**20}}), 7)


def test_a_signature_is_read_as_it_is_written() -> None:
    signature = Signature(1_700_000_000, bytes(range(64)))
    assert Signature.read(str(signature)) == signature


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ed25519",
        "ed25519.7.",
        "ed25519.-7." + "A" * 86,
        "ed25519.7." + "A" * 85,
        "ed25519.7." + "A" * 87,
        "ed25519.7." + "A" * 85 + "=",
        "ed25519.٧." + "A" * 86,
        "ed25519.7." + "A" * 86 + "\n",
        "rsa.7." + "A" * 86,
        base64.b64encode(bytes(64)).decode(),
    ],
)
def test_anything_else_is_no_signature(text: str) -> None:
    assert Signature.read(text) is None
