"""Reads the keys that sign evidence, and verifies what they signed: `BACKSTAY_AUDIT_KEY="2026a:BASE64"`, Ed25519.

The first key signs. Keys behind it are published with it, so that what they signed before can still be verified.
"""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from backstay.adapters.payload.keys import read_keys
from backstay.errors import ConfigurationError
from backstay.kernel.audit_file import Claim

VARIABLE = "BACKSTAY_AUDIT_KEY"
_PUBLIC_BYTES = 32
_SIGNATURE_BYTES = 64
_PUBLIC = re.compile(r"(?:([A-Za-z0-9._-]{1,32}):)?([A-Za-z0-9+/]{43}=)")


@dataclass(frozen=True, slots=True)
class AuditKey:
    """A key that signs evidence."""

    key: str
    private: Ed25519PrivateKey

    @property
    def public(self) -> str:
        """The public key in base64."""
        return base64.b64encode(self.private.public_key().public_bytes_raw()).decode()

    def sign(self, data: bytes) -> str:
        """Signs bytes; returns the signature in base64."""
        return base64.b64encode(self.private.sign(data)).decode()


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key in base64; without an id, it stands for whatever id a signature names."""

    public: str
    key: str | None = None

    @classmethod
    def read(cls, text: str) -> "PublicKey":
        """Reads `id:base64`, or the key alone.

        Raises:
            ConfigurationError: the text is no public key.
        """
        found = _PUBLIC.fullmatch(text.strip())
        if found is None or _decoded(found[2], _PUBLIC_BYTES) is None:
            mend = "`backstay audit keys` writes it: `id:base64`"
            raise ConfigurationError("this is no public key", where="`--key`", mend=mend)
        return cls(found[2], found[1])


def audit_keys(text: str | None) -> list[AuditKey]:
    """Reads the keys in the order written; none where nothing is set, which leaves evidence unsigned.

    Raises:
        ConfigurationError: the keys cannot be used; names the variable and the remedy.
    """
    if not text:
        return []
    return [AuditKey(key, Ed25519PrivateKey.from_private_bytes(raw)) for key, raw in read_keys(text, VARIABLE).items()]


def fault_of(claim: Claim | None, trusted: Iterable[PublicKey] = ()) -> str | None:
    """Returns why a signature proves nothing; None where it does.

    Args:
        claim: the signature; None where something is unsigned, which is a fault once keys are trusted.
        trusted: the keys that count. Without any, a signature is only compared with the key that stands beside it.
    """
    known = list(trusted)
    if claim is None:
        return "it is not signed" if known else None
    if not _holds(claim):
        return "the signature does not fit: it was changed, or what it signs was"
    if known and not any(one.public == claim.public and one.key in (None, claim.key) for one in known):
        return f"it is signed by another key than the one given: `{claim.key}`"
    return None


def _holds(claim: Claim) -> bool:
    public, signature = _decoded(claim.public, _PUBLIC_BYTES), _decoded(claim.signature, _SIGNATURE_BYTES)
    if public is None or signature is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, claim.signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _decoded(text: str, length: int) -> bytes | None:
    """Decodes base64 in its one spelling: the last letter of another one may hold bits that nobody reads."""
    try:
        found = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return found if len(found) == length and base64.b64encode(found).decode() == text else None
