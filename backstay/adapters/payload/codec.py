"""Encrypts what is sent to Temporal, so that neither its database nor its interface can read what runs are about.

A payload, its own metadata included, is sealed with AES-256-GCM under a fresh nonce. The id of the key stands beside it
and is bound to it: it cannot be exchanged unnoticed. What is not encrypted passes through, so that plain JSON from
other clients and from the dialogs of Temporal's interface keeps working.

A key may seal some four billion payloads (2**32, NIST SP 800-38D, 8.3): change it before that. To change it, give the
new key to every worker and client behind the old one, then put it first, and keep the old one until no history that
is sealed with it is left.
"""

import os
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from backstay.errors import CodecError

ENCODING = b"binary/encrypted"
ENCODING_KEY = "encoding"
KEY_ID_KEY = "encryption-key-id"
_NONCE_BYTES = 12
_BOUND = b"backstay/aes-256-gcm/1:"
_SHOWN = 64


class EncryptingCodec(PayloadCodec):
    """Seals with the first of its keys and opens with any of them; `keys` are 32 bytes each, by id."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._first = next(iter(keys))

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Seals every payload."""
        return [self._sealed(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Opens every sealed payload, and leaves the others as they are.

        Raises:
            CodecError: the key is not here, or the payload does not open with it.
        """
        return [self._opened(payload) for payload in payloads]

    def lenient(self) -> "LenientCodec":
        """The same, for a worker."""
        return LenientCodec(self)

    def _sealed(self, payload: Payload) -> Payload:
        nonce = os.urandom(_NONCE_BYTES)
        key_id = self._first.encode()
        sealed = self._ciphers[self._first].encrypt(nonce, payload.SerializeToString(), _BOUND + key_id)
        return Payload(metadata={ENCODING_KEY: ENCODING, KEY_ID_KEY: key_id}, data=nonce + sealed)

    def _opened(self, payload: Payload) -> Payload:
        if payload.metadata.get(ENCODING_KEY) != ENCODING:
            return payload
        key_id = payload.metadata.get(KEY_ID_KEY, b"").decode("ascii", "replace")
        shown = key_id[:_SHOWN] if key_id.isprintable() else "?"
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            known = ", ".join(f"`{name}`" for name in self._ciphers)
            raise CodecError(
                f"a payload is encrypted with the key `{shown}`, and here are only {known}; "
                "add that key to `BACKSTAY_CODEC_KEYS`"
            )
        nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            return Payload.FromString(cipher.decrypt(nonce, sealed, _BOUND + key_id.encode()))
        except (InvalidTag, ValueError):  # ValueError: too short for a nonce
            raise CodecError(
                f"a payload does not open with the key `{shown}`: another key has that id, or the payload was changed"
            ) from None


class LenientCodec(PayloadCodec):
    """Leaves sealed what does not open: who reads it refuses it.

    Somebody's message that raised here would fail the workflow task, which the engine tries again for ever.
    """

    def __init__(self, codec: EncryptingCodec) -> None:
        self._codec = codec

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Seals every payload."""
        return await self._codec.encode(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Opens every payload that opens."""
        opened: list[Payload] = []
        for payload in payloads:
            try:
                opened += await self._codec.decode([payload])
            except CodecError:
                opened.append(payload)
        return opened
