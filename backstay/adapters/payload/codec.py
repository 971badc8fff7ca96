"""Encrypts payloads, so that neither Temporal's database nor its web interface can read the content of runs.

Each payload, including its metadata, is encrypted with AES-256-GCM under a fresh nonce. The key's id stands beside it
and is authenticated with it, so that nobody can swap it unnoticed. Unencrypted payloads pass unchanged, so that plain
JSON from other clients and from Temporal's web interface still works.

One key may encrypt about four billion payloads (2**32, NIST SP 800-38D, 8.3); change it before. To change a key, add
the new one behind the old on every worker and client, then put the new one first, and keep the old one until no
history encrypted with it is left.
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
    """A codec that encrypts with its first key and decrypts with any of its keys."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Takes at least one key: 32 bytes each, by id."""
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._first = next(iter(keys))

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypts every payload."""
        return [self._encrypted(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypts every encrypted payload, and leaves the others as they are.

        Raises:
            CodecError: the key is unknown here, or does not decrypt the payload.
        """
        return [self._decrypted(payload) for payload in payloads]

    def lenient(self) -> "LenientCodec":
        """Returns a codec with the same keys for a worker."""
        return LenientCodec(self)

    def _encrypted(self, payload: Payload) -> Payload:
        nonce = os.urandom(_NONCE_BYTES)
        key_id = self._first.encode()
        encrypted = self._ciphers[self._first].encrypt(nonce, payload.SerializeToString(), _BOUND + key_id)
        return Payload(metadata={ENCODING_KEY: ENCODING, KEY_ID_KEY: key_id}, data=nonce + encrypted)

    def _decrypted(self, payload: Payload) -> Payload:
        if payload.metadata.get(ENCODING_KEY) != ENCODING:
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
            return Payload.FromString(cipher.decrypt(nonce, encrypted, _BOUND + key_id.encode()))
        except (InvalidTag, ValueError):  # a ValueError means that the data is too short for a nonce
            raise CodecError(
                f"the key `{shown}` does not decrypt a payload: another key has that id, or the payload was changed"
            ) from None


class LenientCodec(PayloadCodec):
    """A codec for workers that leaves a payload encrypted where it cannot decrypt it, so that the reader refuses it.

    An error here would fail the workflow task, which Temporal retries for ever: anybody could block a run.
    """

    def __init__(self, codec: EncryptingCodec) -> None:
        self._codec = codec

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypts every payload."""
        return await self._codec.encode(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypts every payload it can, and leaves the others as they are."""
        decrypted: list[Payload] = []
        for payload in payloads:
            try:
                decrypted += await self._codec.decode([payload])
            except CodecError:
                decrypted.append(payload)
        return decrypted
