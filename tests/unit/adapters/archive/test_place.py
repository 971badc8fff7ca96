"""A folder keeps evidence: whole, for good, and never written over."""

import stat
from pathlib import Path

import pytest

from backstay.adapters.archive import place
from backstay.adapters.archive.place import Folder, place_of
from backstay.errors import ArchiveError, ConfigurationError


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "archive")


async def test_what_is_put_is_there(folder: Folder) -> None:
    await folder.put("run/e-1/1.json", b"one")
    await folder.put("run/e-1/2.json", b"two")
    await folder.put("other/3.json", b"three")
    assert await folder.get("run/e-1/1.json") == b"one"
    assert await folder.names("run") == ["run/e-1/1.json", "run/e-1/2.json"]
    assert await folder.names("") == ["other/3.json", "run/e-1/1.json", "run/e-1/2.json"]


async def test_what_is_there_is_not_written_over(folder: Folder) -> None:
    await folder.put("run/1.json", b"first")
    await folder.put("run/1.json", b"second")
    assert await folder.get("run/1.json") == b"first"


async def test_of_two_that_write_at_once_the_first_stays(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked = place.os.link

    def beaten(draft: Path, file: Path) -> None:
        file.write_bytes(b"another was faster")
        linked(draft, file)

    monkeypatch.setattr(place.os, "link", beaten)
    await folder.put("run/1.json", b"late")
    assert await folder.get("run/1.json") == b"another was faster"
    assert [file.name for file in (tmp_path / "archive" / "run").iterdir()] == ["1.json"]


async def test_files_are_for_reading_only(folder: Folder, tmp_path: Path) -> None:
    await folder.put("run/1.json", b"one")
    assert stat.S_IMODE((tmp_path / "archive/run/1.json").stat().st_mode) == 0o444


async def test_a_write_that_fails_leaves_nothing(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(place.os, "fsync", full)
    with pytest.raises(ArchiveError, match="no space left"):
        await folder.put("run/1.json", b"one")
    assert await folder.names("") == []
    assert list((tmp_path / "archive" / "run").iterdir()) == []


async def test_a_deleted_file_is_gone_and_may_be_deleted_again(folder: Folder) -> None:
    await folder.put("run/1.json", b"one")
    await folder.delete("run/1.json")
    await folder.delete("run/1.json")
    assert await folder.names("") == []


async def test_a_file_that_is_not_there_is_told(folder: Folder) -> None:
    with pytest.raises(ArchiveError, match=r"`run/1\.json`: no such file"):
        await folder.get("run/1.json")


async def test_a_place_that_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveError, match="the archive cannot be used"):
        await Folder(tmp_path / "file").put("run/1.json", b"one")


async def test_a_setting_names_a_folder(tmp_path: Path) -> None:
    for written in (str(tmp_path), f"file://{tmp_path}"):
        await place_of(written).put("a/b", b"")
        assert await place_of(written).names("a") == ["a/b"]


def test_another_kind_of_place_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no place of the kind `ftp`"):
        place_of("ftp://example.com")
