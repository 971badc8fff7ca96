"""Knows proofs by their form alone, and bounds how many that do not hold are verified."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

SIGNATURE = "ed25519"
PER_PERSON = 20
STRANGERS = 50
IN_ALL = 1_000

_SIGNATURE = re.compile(rf"{SIGNATURE}\.(0|[1-9][0-9]{{0,11}})\.([A-Za-z0-9_-]{{86}})", re.ASCII)
_TOKEN = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)


def proof_id(proof: str) -> str | None:
    """Returns what a proof is remembered by; None where its form shows that it proves nothing.

    A proof has one spelling: `ed25519.SECONDS.SIGNATURE`, or a signed token of three parts, the first two of them
    objects. A token is remembered by what is signed of it, because one text may have several valid signatures.
    """
    if match := _SIGNATURE.fullmatch(proof):
        return proof if _decoded(match[2]) is not None else None
    if match := _TOKEN.fullmatch(proof):
        head, claims, signature = map(_decoded, match.groups())
        if signature and _is_object(head) and _is_object(claims):
            return proof.rpartition(".")[0]
    return None


def _decoded(text: str) -> bytes | None:
    """Decodes base64url without padding; returns None for any but the one spelling of the bytes."""
    try:
        value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    return value if base64.urlsafe_b64encode(value).decode().rstrip("=") == text else None


def _is_object(value: bytes | None) -> bool:
    return value is not None and value[:1] == b"{" and value[-1:] == b"}"


@dataclass(frozen=True, slots=True)
class Doubts:
    """The proofs sent to a run that did not hold, or are still being verified, by the person they name.

    A flood under one name must not keep others from being heard: each person whom the run knows has a bound of their
    own, and all others, whose names anybody can make up, have one together.
    """

    counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def leave_room(self, person: str) -> bool:
        """Tells whether one more proof is verified for a person; empty stands for all whom the run does not know."""
        most = PER_PERSON if person else STRANGERS
        return self.counts.get(person, 0) < most and self.total < IN_ALL

    @property
    def total(self) -> int:
        """The number of those of all people."""
        return sum(self.counts.values())

    def changed(self, person: str, by: int) -> "Doubts":
        """Returns them after one more of a person, or one fewer."""
        return replace(self, counts=MappingProxyType({**self.counts, person: self.counts.get(person, 0) + by}))
