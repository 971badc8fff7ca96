"""Payloads are sealed with the first key, and open with any of them."""

import base64
import os

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import ActivitySerializationContext, SerializationContext, WorkflowSerializationContext

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


RUN = WorkflowSerializationContext(namespace="default", workflow_id="run-1")


def activity(run: str = "run-1", kind: str = "act", activity_id: str | None = "act-1-0") -> SerializationContext:
    """The place of an activity."""
    return ActivitySerializationContext(
        namespace="default", activity_id=activity_id, activity_type=kind, activity_task_queue="agents",
        workflow_id=run, workflow_type="AgentRun", is_local=False,
    )  # fmt: skip


def codec(place: SerializationContext | None = None) -> EncryptingCodec:
    """A codec of one key that stands at a place."""
    whole = EncryptingCodec({"new": NEW})
    return whole if place is None else whole.with_context(place)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (RUN, RUN),
        (RUN, None),
        (None, RUN),
        (None, activity()),
        (activity(), activity()),
        (activity(), activity(activity_id=None)),
        (activity(activity_id=None), activity()),
        (activity(), RUN),
        (activity(), None),
        (RUN, WorkflowSerializationContext(namespace="default", workflow_id="run-1-2026-11-29T08:00:00Z")),
    ],
)
async def test_a_payload_opens_at_its_own_place_and_where_none_is_known(
    written: SerializationContext | None, read: SerializationContext | None
) -> None:
    assert await codec(read).decode(await codec(written).encode([PLAIN])) == [PLAIN]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (RUN, WorkflowSerializationContext(namespace="default", workflow_id="run-2")),
        (RUN, WorkflowSerializationContext(namespace="default", workflow_id="run-1-2")),
        (RUN, activity()),
        (activity(), WorkflowSerializationContext(namespace="default", workflow_id="run-1-2026-11-29T08:00:00Z")),
        (activity(), activity(run="run-1-2026-11-29T08:00:00Z")),
        (RUN, activity(run="run-1-2026-11-29T08:00:00Z")),
        (RUN, activity(run="run-2")),
        (activity(run="run-2"), activity()),
        (activity(run="run-2"), RUN),
        (activity(kind="decide"), activity()),
        (activity(activity_id="act-2-0"), activity()),
    ],
)
async def test_a_payload_that_somebody_moved_is_refused_and_lenience_leaves_it_closed(
    written: SerializationContext, read: SerializationContext
) -> None:
    [sealed] = await codec(written).encode([PLAIN])
    with pytest.raises(CodecError, match="moved"):
        await codec(read).decode([sealed])
    assert await codec().lenient().with_context(read).decode([sealed]) == [sealed]


@pytest.mark.parametrize("place", [b"", b'["run-2", "", ""]', None])
async def test_the_place_of_a_payload_cannot_be_changed_or_taken_away(place: bytes | None) -> None:
    [sealed] = await codec(RUN).encode([PLAIN])
    if place is None:
        del sealed.metadata["bound-to"]
    else:
        sealed.metadata["bound-to"] = place
    for reader in (codec(), codec(RUN)):
        with pytest.raises(CodecError, match="was changed"):
            await reader.decode([sealed])


async def test_a_strict_worker_takes_no_payload_of_an_activity_that_names_no_place() -> None:
    [anywhere] = await codec().encode([PLAIN])
    strict = codec().lenient(strict=True)
    [refused] = await strict.with_context(activity()).decode([anywhere])
    assert refused == Payload(metadata={"encoding": b"binary/refused"})
    assert await strict.with_context(RUN).decode([anywhere]) == [PLAIN]


async def test_a_strict_worker_takes_plain_payloads_of_clients_and_none_of_activities() -> None:
    strict = codec().lenient(strict=True)
    [sealed] = await codec(activity()).encode([PLAIN])
    assert await strict.with_context(activity()).decode([sealed]) == [PLAIN]
    assert await strict.with_context(RUN).decode([PLAIN]) == [PLAIN]
    [refused] = await strict.with_context(activity()).decode([PLAIN])
    assert refused == Payload(metadata={"encoding": b"binary/refused"})
    assert await codec().lenient().with_context(activity()).decode([PLAIN]) == [PLAIN]


@pytest.mark.parametrize("workflow", ["backstay-control", "backstay-breakers"])
async def test_what_is_about_all_fleets_of_a_namespace_is_not_sealed_unless_an_activity_gets_it(workflow: str) -> None:
    codec = EncryptingCodec({"new": NEW})
    assert await codec.with_context(WorkflowSerializationContext("default", workflow)).encode([PLAIN]) == [PLAIN]
    assert await codec.with_context(WorkflowSerializationContext("default", f"{workflow}-2")).encode([PLAIN]) != [PLAIN]
    [sealed] = await codec.with_context(activity(workflow)).encode([PLAIN])
    assert sealed.metadata["encoding"] == b"binary/encrypted"
