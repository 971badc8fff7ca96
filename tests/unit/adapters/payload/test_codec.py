"""Payloads are sealed with the first key, and open with any of them."""

import base64
import os

import pytest
from temporalio.api.common.v1 import Payload

from backstay.adapters.payload.codec import EncryptingCodec
from backstay.errors import CodecError

OLD, NEW = os.urandom(32), os.urandom(32)
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"goal": "find the whale"}')


def written(key: bytes) -> str:
    return base64.b64encode(key).decode()


async def test_a_sealed_payload_opens_to_what_it_was_and_shows_nothing_of_it() -> None:
    codec = EncryptingCodec({"new": NEW})
    [sealed] = await codec.encode([PLAIN])
    assert b"whale" not in sealed.SerializeToString()
    assert b"json/plain" not in sealed.SerializeToString()
    assert dict(sealed.metadata) == {"encoding": b"binary/encrypted", "encryption-key-id": b"new"}
    assert await codec.decode([sealed]) == [PLAIN]


async def test_the_same_payload_is_never_sealed_in_the_same_way() -> None:
    first, second = await EncryptingCodec({"new": NEW}).encode([PLAIN, PLAIN])
    assert first.data != second.data


async def test_a_sealed_payload_that_is_sealed_again_opens_layer_by_layer() -> None:
    codec = EncryptingCodec({"new": NEW})
    once = await codec.encode([PLAIN])
    twice = await codec.encode(once)
    assert await codec.decode(twice) == once


async def test_the_first_key_seals_and_every_key_opens() -> None:
    before = await EncryptingCodec({"old": OLD}).encode([PLAIN])
    changed = EncryptingCodec({"new": NEW, "old": OLD})
    assert await changed.decode(before) == [PLAIN]
    [sealed] = await changed.encode([PLAIN])
    assert sealed.metadata["encryption-key-id"] == b"new"


async def test_what_is_not_encrypted_passes_through() -> None:
    assert await EncryptingCodec({"new": NEW}).decode([PLAIN, Payload()]) == [PLAIN, Payload()]


async def test_a_missing_key_is_named_and_no_key_is_shown() -> None:
    sealed = await EncryptingCodec({"old": OLD}).encode([PLAIN])
    with pytest.raises(CodecError) as caught:
        await EncryptingCodec({"new": NEW}).decode(sealed)
    assert "`old`" in str(caught.value)
    assert "`BACKSTAY_CODEC_KEYS`" in str(caught.value)
    assert written(NEW) not in str(caught.value)


async def test_another_key_of_the_same_id_does_not_open_a_payload() -> None:
    sealed = await EncryptingCodec({"new": OLD}).encode([PLAIN])
    with pytest.raises(CodecError, match="`new` does not decrypt a payload"):
        await EncryptingCodec({"new": NEW}).decode(sealed)


@pytest.mark.parametrize("position", [0, 11, 12, 40, -1])
async def test_a_changed_byte_is_noticed(position: int) -> None:
    codec = EncryptingCodec({"new": NEW})
    [sealed] = await codec.encode([PLAIN])
    data = bytearray(sealed.data)
    data[position] ^= 1
    sealed.data = bytes(data)
    with pytest.raises(CodecError):
        await codec.decode([sealed])


@pytest.mark.parametrize("length", [0, 5, 12, 20])
async def test_a_payload_that_was_cut_is_noticed(length: int) -> None:
    codec = EncryptingCodec({"new": NEW})
    [sealed] = await codec.encode([PLAIN])
    sealed.data = sealed.data[:length]
    with pytest.raises(CodecError):
        await codec.decode([sealed])


async def test_the_id_is_bound_even_where_two_ids_have_one_key() -> None:
    codec = EncryptingCodec({"a": NEW, "b": NEW})
    [sealed] = await codec.encode([PLAIN])
    sealed.metadata["encryption-key-id"] = b"b"
    with pytest.raises(CodecError):
        await codec.decode([sealed])


@pytest.mark.parametrize("key_id", [b"", b"\xff\xfe", b"line\nbreak", b"x" * 10_000])
async def test_an_id_that_somebody_made_up_is_an_error_of_one_short_line(key_id: bytes) -> None:
    sealed = Payload(metadata={"encoding": b"binary/encrypted", "encryption-key-id": key_id}, data=bytes(40))
    with pytest.raises(CodecError) as caught:
        await EncryptingCodec({"new": NEW}).decode([sealed])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
