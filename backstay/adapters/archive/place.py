"""The places that keep evidence and large payloads: a folder, or a bucket. What lies there is never written over."""

import asyncio
import contextlib
import os
import uuid
from collections.abc import Generator
from pathlib import Path
from typing import Protocol

from backstay.errors import ArchiveError, ConfigurationError
from backstay.extras import require

VARIABLE = "BACKSTAY_ARCHIVE"
_READ_ONLY = 0o444


class Place(Protocol):
    """A place that keeps files by name; a name has folders, separated by `/`."""

    async def put(self, name: str, data: bytes) -> None:
        """Keeps a file, once it returns for good; one of the same name stays as it is.

        Raises:
            ArchiveError: the place did not take it.
        """
        ...

    async def get(self, name: str) -> bytes:
        """Reads a file.

        Raises:
            ArchiveError: the place has none, or does not answer.
        """
        ...

    async def names(self, prefix: str) -> list[str]:
        """Lists the names below a folder, sorted; an empty `prefix` lists all.

        Raises:
            ArchiveError: the place does not answer.
        """
        ...

    async def delete(self, name: str) -> None:
        """Deletes a file; one that is not there is no fault.

        Raises:
            ArchiveError: the place does not let it go.
        """
        ...


def place_of(written: str, variable: str = VARIABLE) -> Place:
    """Returns the place that a setting names: a folder, or `s3://bucket/prefix`.

    Args:
        written: the setting.
        variable: its name, for errors.

    Raises:
        ConfigurationError: it is neither, or what a bucket needs is not installed.
    """
    scheme, found, _ = written.partition("://")
    if found and scheme == "s3":
        require("archive")
        from .bucket import Bucket  # its library is loaded only where there is a bucket

        return Bucket(written, variable)
    if found and scheme != "file":
        mend = "write a folder, or `s3://bucket/prefix`"
        raise ConfigurationError(f"there is no place of the kind `{scheme}`", where=f"`{variable}`", mend=mend)
    return Folder(Path(written.removeprefix("file://")))


class Folder:
    """A folder. Files are complete or not there, survive a loss of power, and are written for reading only."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, name: str, data: bytes) -> None:
        """Keeps a file."""
        with _told(name):
            await asyncio.to_thread(_written, self._root / name, data)

    async def get(self, name: str) -> bytes:
        """Reads a file."""
        with _told(name):
            return await asyncio.to_thread((self._root / name).read_bytes)

    async def names(self, prefix: str) -> list[str]:
        """Lists the names below a folder."""
        with _told(prefix):
            return await asyncio.to_thread(self._names, prefix)

    async def delete(self, name: str) -> None:
        """Deletes a file."""
        with _told(name):
            await asyncio.to_thread((self._root / name).unlink, missing_ok=True)

    def _names(self, prefix: str) -> list[str]:
        found = (file for file in (self._root / prefix).rglob("*") if file.is_file() and not file.name.startswith("."))
        return sorted(file.relative_to(self._root).as_posix() for file in found)


def _written(file: Path, data: bytes) -> None:
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{uuid.uuid4().hex}")
    try:
        with draft.open("xb") as writing:
            writing.write(data)
            writing.flush()
            os.fsync(writing.fileno())
        draft.chmod(_READ_ONLY)
        with contextlib.suppress(FileExistsError):
            os.link(draft, file)  # unlike a rename, it writes over nothing
    finally:
        draft.unlink(missing_ok=True)
    _synced(file.parent)


def _synced(folder: Path) -> None:
    """Makes sure that the name of a new file survives too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _told(name: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise ArchiveError(f"the archive cannot be used: `{name or '.'}`: {why}") from error
