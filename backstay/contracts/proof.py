"""The contracts of proofs: the person who is named sent exactly this message to exactly this run.

`by`, `requested_by` and `tenant` are claims of whoever may write to the namespace, until a proof was verified.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from .problems import Contract

METADATA_KEY = "backstay.proof"
"""The key of a start's metadata that holds its proof; nothing but the admission reads it."""
START = "start"
"""The message of a proof that proves a start."""

ProofText = Annotated[str, Field(max_length=4_000, strict=True)]
"""A proof as it is sent: a signature or a token; a claim too, until it was verified."""

Stance = Literal["unverifiable", "optional", "required"]
"""The stance of a run on proofs: refuses each, as nothing verifies it; verifies those it gets; demands one."""


class SignedMessage(Contract):
    """A message as its sender proves it.

    Attributes:
        namespace: Temporal's namespace of the run.
        run_id: the run's workflow id.
        message: the message's name, such as `approve`; `start` for a start.
        content: the whole message without its proof and without fields that are null.
    """

    namespace: str
    run_id: str
    message: str
    content: dict[str, Any]


class VerifyInput(Contract):
    """The input of `verify`: `by` claims to have sent the message, None names nobody; it is handled at `at_ms`."""

    signed: SignedMessage
    by: str | None
    proof: ProofText
    at_ms: int


class VerifyResult(Contract):
    """The answer of `verify`: proven, unless `code` says why it is not."""

    code: str | None = None
    text: str = ""


def sent(message: Contract) -> dict[str, Any]:
    """Returns the content of a message as it is signed: without its proof, and without fields that are null."""
    fields: dict[str, Any] = message.model_dump(mode="json")
    return {name: value for name, value in fields.items() if name != "proof" and value is not None}
