"""Opens files below a folder by walking its descriptors, so that no link and no race leads out of it.

INVARIANT: a path is opened name by name and then judged; none is judged and then opened. Whoever swaps a folder for a
link meanwhile is met by `O_NOFOLLOW`.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .path_parts import UNFINISHED, is_unfinished
from .refusal import Reason, refusal

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK: Final = 65_536
_DEEPEST: Final = 64


@dataclass(frozen=True, slots=True)
class Usage:
    """The size of a workspace: its bytes, and its files and folders; both are counted up to the limits only."""

    size: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder within which files are read and written.

    Attributes:
        root: the folder that holds workspaces; links in its own path are the operator's, and are followed.
        below: the names of folders below it that belong to one run; they are made where they are missing.
    """

    root: Path
    below: tuple[str, ...] = ()

    @contextlib.contextmanager
    def opened(self) -> Generator[int]:
        """Opens the workspace itself, and makes it where it is missing.

        Raises:
            ToolError: `workspace_failed`: it can neither be opened nor made.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            top = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise refusal(Reason.WORKSPACE_FAILED, f"the workspace cannot be used: {_why(error)}") from None
        with _closing(top), walked(top, self.below, make=True) as folder:
            yield folder


@contextlib.contextmanager
def walked(start: int, parts: Sequence[str], *, make: bool = False) -> Generator[int]:
    """Opens a folder name by name from one that is open.

    Args:
        start: the descriptor of the open folder; it stays open.
        parts: the names that lead to the folder.
        make: makes folders that are missing.

    Raises:
        ToolError: a name leads to nothing, to a link, or to something other than a folder.
    """
    folder = os.dup(start)
    try:
        for part in parts:
            if make:
                with contextlib.suppress(FileExistsError), _told(folder, part):
                    os.mkdir(part, 0o700, dir_fd=folder)
            with _told(folder, part):
                inner = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def read_start(folder: int, name: str, most: int) -> tuple[bytes, int]:
    """Reads the beginning of a file.

    Returns:
        At most so many bytes, and the size of the whole file.

    Raises:
        ToolError: there is no such file, or it is a link, a device, a pipe, or has a second name elsewhere.
    """
    with _told(folder, name):
        file = os.open(name, _READ, dir_fd=folder)
    with _closing(file), _told(folder, name):
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise refusal(Reason.NOT_A_FILE, "there is something other than a file; `list_files` shows folders")
        if found.st_nlink != 1:
            raise refusal(Reason.LINK_REFUSED, "the file has a second name, which may lie outside of the workspace")
        return _read(file, most), found.st_size


def write_whole(folder: int, name: str, data: bytes, key: str) -> None:
    """Writes a file as a whole in place of whatever has its name: a link is replaced, and never written through.

    Args:
        folder: the open folder.
        name: the file's name.
        data: the content.
        key: names the unfinished file, so that a second attempt at the same call finds and replaces it.

    Raises:
        ToolError: the name is that of a folder.
    """
    unfinished = hashlib.sha256(key.encode()).hexdigest()[:24].join(UNFINISHED)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(unfinished, dir_fd=folder)
    try:
        with _told(folder, name):
            with _closing(os.open(unfinished, _NEW, 0o600, dir_fd=folder)) as file:
                _write(file, data)
                os.fsync(file)
            os.rename(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(unfinished, dir_fd=folder)
        raise


def entries(folder: int, most: int) -> list[tuple[str, os.stat_result]]:
    """Lists a folder, sorted by name; links are told, not followed, and files being written are left out."""
    found: list[tuple[str, os.stat_result]] = []
    with os.scandir(folder) as scan:
        for entry in scan:
            if is_unfinished(entry.name):
                continue
            # What was removed meanwhile is not there.
            with contextlib.suppress(FileNotFoundError):
                found.append((entry.name, entry.stat(follow_symlinks=False)))
            if len(found) >= most:
                break
    return sorted(found, key=lambda one: one[0])


def usage(folder: int, most_bytes: int, most_files: int, depth: int = 0) -> Usage:
    """Counts what lies in a folder and below it, until one of the limits is passed; `depth` is that of the folder."""
    size, count, inner = 0, 0, list[str]()
    with os.scandir(folder) as scan:
        for entry in scan:
            count += 1
            if entry.is_dir(follow_symlinks=False):
                inner.append(entry.name)
            else:
                with contextlib.suppress(FileNotFoundError):
                    size += entry.stat(follow_symlinks=False).st_size
            if size > most_bytes or count > most_files:
                return Usage(size, count)
    for name in inner if depth < _DEEPEST else ():
        try:
            below = os.open(name, _FOLDER, dir_fd=folder)
        except OSError:
            continue  # removed or swapped meanwhile
        with _closing(below):
            more = usage(below, most_bytes - size, most_files - count, depth + 1)
        size, count = size + more.size, count + more.count
        if size > most_bytes or count > most_files:
            break
    return Usage(size, count)


@contextlib.contextmanager
def alone(folder: int) -> Generator[None]:
    """Holds off other writers of a workspace, those of other processes on this machine too."""
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(folder, fcntl.LOCK_UN)


@contextlib.contextmanager
def _closing(descriptor: int) -> Generator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _told(folder: int, name: str) -> Generator[None]:
    """Turns the errors of one step into refusals with a code; how a name is called decides nothing.

    Raises:
        ToolError: in place of an error of the system.
    """
    try:
        yield
    except FileExistsError:
        raise
    except FileNotFoundError:
        raise refusal(Reason.NOT_FOUND, "no such file or folder") from None
    except OSError as error:
        raise _refused(error, folder, name) from None


def _refused(error: OSError, folder: int, name: str) -> Exception:
    link = False
    with contextlib.suppress(OSError):
        link = stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    if error.errno == errno.ELOOP or (error.errno == errno.ENOTDIR and link):
        return refusal(Reason.LINK_REFUSED, "links are not followed, those inside the workspace neither")
    if error.errno == errno.ENOTDIR:
        return refusal(Reason.NOT_A_FOLDER, "a name before the last one is no folder")
    if error.errno in (errno.EISDIR, errno.ENXIO, errno.ENODEV, errno.ENOTEMPTY):
        return refusal(Reason.NOT_A_FILE, "there is something other than a file")
    return refusal(Reason.WORKSPACE_FAILED, f"the file cannot be used: {_why(error)}")


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _read(file: int, most: int) -> bytes:
    found = bytearray()
    while len(found) < most and (chunk := os.read(file, min(_CHUNK, most - len(found)))):
        found += chunk
    return bytes(found)


def _write(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
