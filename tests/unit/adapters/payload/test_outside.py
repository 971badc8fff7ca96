"""A place outside of Temporal keeps payloads, and gives back only what was put there."""

from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

from backstay.adapters.archive.place import place_of
from backstay.adapters.payload.outside import MOST_BYTES, SIGN, MissingPayloadError, Outside
from backstay.errors import ArchiveError

TEXT = Payload(metadata={"encoding": b"json/plain"}, data=b'"a long text"')


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != SIGN]


async def kept(folder: Path, payload: Payload = TEXT, run: str = "a") -> StorageDriverClaim:
    context = StorageDriverStoreContext(target=StorageDriverWorkflowInfo(namespace="default", id=run))
    (claim,) = await Outside(place_of(str(folder))).store(context, [payload])
    return claim


async def read(folder: Path, claim: StorageDriverClaim) -> Payload:
    (payload,) = await Outside(place_of(str(folder))).retrieve(StorageDriverRetrieveContext(), [claim])
    return payload


async def test_what_was_put_there_is_read_by_another_process(tmp_path: Path) -> None:
    assert await read(tmp_path, await kept(tmp_path)) == TEXT


async def test_the_same_payload_of_a_workflow_lies_there_once(tmp_path: Path) -> None:
    assert await kept(tmp_path) == await kept(tmp_path)
    assert len(files(tmp_path)) == 1


async def test_no_workflow_leans_on_a_file_of_another(tmp_path: Path) -> None:
    first, second = await kept(tmp_path, run="a"), await kept(tmp_path, run="b")
    (tmp_path / first.claim_data["name"]).unlink()
    assert await read(tmp_path, second) == TEXT


@pytest.mark.parametrize(
    "name",
    ["", "../../etc/passwd", "/etc/passwd", f"{'0' * 16}/{'0' * 63}", f"{'0' * 16}/{'0' * 64}", f"../{'0' * 64}"],
)
async def test_a_claim_of_somebodys_own_making_reads_nothing(tmp_path: Path, name: str) -> None:
    await kept(tmp_path)
    with pytest.raises(MissingPayloadError):
        await read(tmp_path, StorageDriverClaim(claim_data={"name": name}))


async def test_a_file_with_another_content_is_not_believed(tmp_path: Path) -> None:
    claim = await kept(tmp_path)
    (file,) = files(tmp_path)
    file.chmod(0o600)
    file.write_bytes(b"forged")
    with pytest.raises(MissingPayloadError, match="something else"):
        await read(tmp_path, claim)


async def test_a_place_that_is_not_there_may_come_back(tmp_path: Path) -> None:
    claim = await kept(tmp_path / "store")
    (tmp_path / "store").rename(tmp_path / "away")
    with pytest.raises(ArchiveError):
        await read(tmp_path / "store", claim)


async def test_a_payload_of_more_than_any_run_needs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="larger than"):
        await kept(tmp_path, Payload(data=b"x" * (MOST_BYTES + 1)))
    assert files(tmp_path) == []
