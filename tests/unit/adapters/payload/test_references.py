"""A reference to external storage harms no reader, whoever wrote it."""

import dataclasses
from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter

from backstay.adapters.payload.converter import data_converter, for_worker
from backstay.adapters.payload.tolerant import UNREADABLE
from backstay.errors import CodecError, ConfigurationError
from backstay.settings import Settings

LONG = "x" * 200_000
CLAIM = b'{"driverName": "somebody", "claimData": {"name": "../x"}}'
FORGED = {
    "of another driver": Payload(
        metadata={
            "encoding": b"json/protobuf",
            "messageType": b"temporal.api.sdk.v1.ExternalStorageReference",
        },
        data=CLAIM,
    ),
    "of an older SDK": Payload(
        metadata={"encoding": b"json/external-storage-reference"},
        data=b'{"driver_name": "backstay", "driver_claim": {"claim_data": {"name": "../x"}}}',
    ),
    "that is no JSON": Payload(metadata={"encoding": b"json/external-storage-reference"}, data=b"{"),
    "marked as one": Payload(
        metadata={"encoding": b"json/plain", "__temporal_external_storage_reference": b"true"}, data=b"1"
    ),
}


def converters(folder: Path) -> list[DataConverter]:
    return [data_converter(Settings(payload_store=store)) for store in (None, str(folder))]


@pytest.mark.parametrize("payload", FORGED.values(), ids=FORGED)
async def test_a_worker_takes_a_forged_reference_as_unreadable_and_reads_its_neighbours(
    tmp_path: Path, payload: Payload
) -> None:
    good = Payload(metadata={"encoding": b"json/plain"}, data=b'"kept"')
    for converter in converters(tmp_path):
        worker = for_worker(converter)
        values = await worker.decode([good, payload])
        assert values[0] == "kept"
        assert values[1] is UNREADABLE


@pytest.mark.parametrize("payload", FORGED.values(), ids=FORGED)
async def test_a_client_is_told_that_a_reference_leads_nowhere(tmp_path: Path, payload: Payload) -> None:
    for converter in converters(tmp_path):
        with pytest.raises(CodecError, match="external storage"):
            await converter.decode([payload])


async def test_a_large_payload_lies_in_the_store_and_a_small_one_does_not(tmp_path: Path) -> None:
    converter = data_converter(Settings(payload_store=str(tmp_path)))
    (long, short) = await converter.encode([LONG, "short"])
    assert len(long.SerializeToString()) < 500
    assert short.data == b'"short"'
    assert await converter.decode([long, short]) == [LONG, "short"]


async def test_a_store_that_cannot_be_reached_now_is_asked_again_by_the_engine(tmp_path: Path) -> None:
    store = tmp_path / "store"
    worker = for_worker(data_converter(Settings(payload_store=str(store))))
    (long,) = await worker.encode([LONG])
    store.rename(tmp_path / "away")
    with pytest.raises(CodecError, match="external storage"):
        await worker.decode([long])
    (tmp_path / "away").rename(store)
    assert await worker.decode([long]) == [LONG]
    next(path for path in store.glob("*/*")).unlink()
    assert await worker.decode([long]) == [UNREADABLE]


async def test_stored_payloads_are_sealed_where_there_are_keys(tmp_path: Path) -> None:
    key = "new:" + "A" * 43 + "="
    converter = data_converter(Settings(payload_store=str(tmp_path), codec_keys=key))
    (long,) = await converter.encode([LONG])
    (file,) = tmp_path.glob("*/*")
    assert b"xxxx" not in file.read_bytes()
    assert await converter.decode([long]) == [LONG]


def test_a_store_of_an_unknown_kind_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError) as refused:
        data_converter(Settings(payload_store="ftp://host"))
    assert refused.value.where == "`BACKSTAY_PAYLOAD_STORE`"


def test_a_worker_reads_as_its_clients_do(tmp_path: Path) -> None:
    converter = data_converter(Settings(payload_store=str(tmp_path)))
    assert for_worker(converter).external_storage is converter.external_storage
    assert dataclasses.replace(converter).external_storage is converter.external_storage
