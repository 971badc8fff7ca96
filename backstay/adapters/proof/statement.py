"""Spells the text that a proof is made over, the same for whoever signs and whoever verifies.

A signature is Ed25519 over `statement(message, at)`, written as `ed25519.SECONDS.SIGNATURE` with the seconds since the
epoch and the signature in base64url without padding. An OIDC token carries `nonce(message)` instead.
"""

import base64
import hashlib
from dataclasses import dataclass

import rfc8785

from backstay.contracts.proof import SignedMessage
from backstay.kernel.proof import SIGNATURE, proof_id

VERSION = "backstay.proof/1"


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature as it is sent; `at` is seconds since the epoch."""

    at: int
    value: bytes

    def __str__(self) -> str:
        return f"{SIGNATURE}.{self.at}.{unpadded(self.value)}"

    @classmethod
    def read(cls, proof: str) -> "Signature | None":
        """Reads a proof; returns None for anything but a signature in its one spelling."""
        kind, _, rest = proof.partition(".")
        if kind != SIGNATURE or proof_id(proof) is None:
            return None
        at, _, value = rest.partition(".")
        return cls(int(at), base64.urlsafe_b64decode(f"{value}=="))


def statement(message: SignedMessage, at: int) -> bytes:
    """Returns the RFC 8785 text that is signed.

    Raises:
        ValueError: the message holds what that text cannot spell, such as a number of twenty digits.
    """
    return _spelled(message, {"at": at})


def nonce(message: SignedMessage) -> str:
    """Returns the `nonce` that ties an OIDC token to one message; the token itself says when it was issued.

    Raises:
        ValueError: the message holds what RFC 8785 cannot spell.
    """
    return unpadded(hashlib.sha256(_spelled(message, {})).digest())


def unpadded(value: bytes) -> str:
    """Writes bytes in base64url without padding."""
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _spelled(message: SignedMessage, more: dict[str, int]) -> bytes:
    return rfc8785.dumps({"backstay": VERSION, **message.model_dump(mode="json"), **more})
