"""Encrypts payloads, so that neither Temporal's database nor its web interface can read the content of runs.

Each payload, including its metadata, is encrypted with AES-256-GCM under a fresh nonce. Beside it stand the key's id
and the place that it was written for: run, activity and the activity's id, as far as the writer knew them. Both are
authenticated with it. A reader that knows its own place refuses a payload of another one; the codec server knows none
and reads them all. Payloads of earlier versions, and those of the codec server, name no place and are read anywhere.
Unencrypted payloads pass unchanged, so that plain JSON from other clients and from Temporal's web interface still
works. As those of an activity, a strict worker reads neither these nor any that name no place.
Those of the control plane, of its sweeps and of the breakers stay unencrypted, except for activities: they are about
all fleets of a namespace, whatever their keys.

One key may encrypt about four billion payloads (2**32, NIST SP 800-38D, 8.3); change it before. To change a key, add
the new one behind the old on every worker and client, then put the new one first, and keep the old one until no
history encrypted with it is left.
"""

import copy
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from backstay.errors import CodecError
from backstay.kernel.keys import is_of_control

from .tolerant import ENCRYPTED, REFUSED

ENCODING_KEY = "encoding"
KEY_ID_KEY = "encryption-key-id"
PLACE_KEY = "bound-to"
_NONCE_BYTES = 12
_UNBOUND = b"backstay/aes-256-gcm/1:"
_BOUND = b"backstay/aes-256-gcm/2:"
_SHOWN = 64
_SCHEDULED = re.compile(r"-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
"""The ending that a schedule adds to the workflow id of its starts."""


@dataclass(frozen=True, slots=True)
class Place:
    """The run that a payload belongs to, and the activity in it; empty where unknown, or where it is of none."""

    run: str
    activity: str = ""
    activity_id: str = ""

    @classmethod
    def of(cls, context: SerializationContext) -> "Place | None":
        """Returns the place that a context of the SDK names; None where it names no run."""
        if isinstance(context, ActivitySerializationContext) and context.workflow_id:
            return cls(context.workflow_id, context.activity_type or "", context.activity_id or "")
        return cls(context.workflow_id) if isinstance(context, WorkflowSerializationContext) else None

    def written(self) -> bytes:
        """Spells the place for the metadata of a payload."""
        return json.dumps([self.run, self.activity, self.activity_id]).encode()

    def takes(self, written: bytes) -> bool:
        """Tells whether a payload written for a place may stand here; unknown parts fit any."""
        run, activity, activity_id = json.loads(written)
        scheduled = self.run.startswith(run) and _SCHEDULED.fullmatch(self.run[len(run) :])
        if run != self.run and (activity or not scheduled):  # of a run that a schedule starts only the start is sealed
            return False
        if self.activity and activity != self.activity:
            return False
        return not (self.activity_id and activity_id) or activity_id == self.activity_id


class EncryptingCodec(PayloadCodec, WithSerializationContext):
    """A codec that encrypts with its first key and decrypts with any of its keys."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Takes at least one key: 32 bytes each, by id."""
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._first = next(iter(keys))
        self.place: Place | None = None

    def with_context(self, context: SerializationContext) -> "EncryptingCodec":
        """Returns a codec with the same keys for the payloads of one place."""
        other = copy.copy(self)
        other.place = Place.of(context)
        return other

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypts every payload, except for those of the control plane, its sweeps and the breakers."""
        if self.place is not None and is_of_control(self.place.run) and not self.place.activity:
            return list(payloads)
        return [self._encrypted(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypts every encrypted payload, and leaves the others as they are.

        Raises:
            CodecError: the key is unknown here, or does not decrypt the payload.
        """
        return [self._decrypted(payload) for payload in payloads]

    def lenient(self, *, strict: bool = False) -> "LenientCodec":
        """Returns a codec with the same keys for a worker; a strict one refuses loose payloads of activities."""
        return LenientCodec(self, strict=strict)

    def _encrypted(self, payload: Payload) -> Payload:
        nonce = os.urandom(_NONCE_BYTES)
        metadata = {ENCODING_KEY: ENCRYPTED, KEY_ID_KEY: self._first.encode()}
        if self.place is not None:
            metadata[PLACE_KEY] = self.place.written()
        encrypted = self._ciphers[self._first].encrypt(nonce, payload.SerializeToString(), _associated(metadata))
        return Payload(metadata=metadata, data=nonce + encrypted)

    def _decrypted(self, payload: Payload) -> Payload:
        if payload.metadata.get(ENCODING_KEY) != ENCRYPTED:
            return payload
        key_id = payload.metadata.get(KEY_ID_KEY, b"").decode("ascii", "replace")
        shown = key_id[:_SHOWN] if key_id.isprintable() else "?"
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            known = ", ".join(f"`{name}`" for name in self._ciphers)
            raise CodecError(
                f"a payload is encrypted with the key `{shown}`, but this process has only {known}; "
                "add that key to `BACKSTAY_CODEC_KEYS`"
            )
        nonce, encrypted = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            opened = Payload.FromString(cipher.decrypt(nonce, encrypted, _associated(payload.metadata)))
        except (InvalidTag, ValueError):  # a ValueError means that the data is too short for a nonce
            raise CodecError(
                f"the key `{shown}` does not decrypt a payload: another key has that id, or the payload was changed"
            ) from None
        place = payload.metadata.get(PLACE_KEY)
        if self.place is not None and place is not None and not self.place.takes(place):
            raise CodecError("a payload was written for another run or activity: somebody moved it")
        return opened


def _associated(metadata: Mapping[str, bytes]) -> bytes:
    """Returns what is authenticated with a payload; an id of a key holds no NUL."""
    key_id, place = metadata.get(KEY_ID_KEY, b""), metadata.get(PLACE_KEY)
    return _UNBOUND + key_id if place is None else _BOUND + key_id + b"\0" + place


class LenientCodec(PayloadCodec, WithSerializationContext):
    """A codec for workers that leaves a payload unreadable where it refuses it, so that the reader refuses it too.

    An error here would fail the workflow task, which Temporal retries for ever: anybody could block a run.
    """

    def __init__(self, codec: EncryptingCodec, *, strict: bool = False) -> None:
        """Takes the codec underneath; a strict one refuses loose payloads of activities: plain ones, and placeless."""
        self._codec = codec
        self._strict = strict

    def with_context(self, context: SerializationContext) -> "LenientCodec":
        """Returns a codec with the same keys for the payloads of one place."""
        return LenientCodec(self._codec.with_context(context), strict=self._strict)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypts every payload."""
        return await self._codec.encode(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypts every payload it can, and leaves the others as they are, or refused."""
        place = self._codec.place
        strict = self._strict and place is not None and bool(place.activity)
        decrypted: list[Payload] = []
        for payload in payloads:
            if strict and (payload.metadata.get(ENCODING_KEY) != ENCRYPTED or PLACE_KEY not in payload.metadata):
                decrypted.append(Payload(metadata={ENCODING_KEY: REFUSED}))
                continue
            try:
                decrypted += await self._codec.decode([payload])
            except CodecError:
                decrypted.append(payload)
        return decrypted
