"""Makes `read_file`, `write_file` and `list_files`: an agent's files in a workspace that nothing leads out of."""

import hashlib
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import quote

from ..call import ToolCall
from ..declare import tool
from ..facts import plain_path
from .path_parts import parts_of
from .refusal import Reason, refusal
from .settings import FilesTable
from .workspace import Workspace, alone, entries, read_start, usage, walked, write_whole

MOST_FOLDERS: Final = 32
_SCANNED: Final = 10_000


def plain_path_of(path: str | None) -> str:
    """Returns a path in one spelling, the workspace itself for none; "" for one that is unclear."""
    return plain_path(path or ".")


def folders_of(path: str | None) -> list[str]:
    """Lists the folders that a path lies in, the workspace itself as `.`; none for a path that is unclear."""
    plain = plain_path_of(path)
    return sorted(str(folder) for folder in PurePosixPath(plain).parents) if plain else []


def suffix_of(path: str | None) -> str:
    """Returns the ending of a file's name in small letters, such as `.md`; "" for none, and for an unclear path."""
    return PurePosixPath(plain_path_of(path)).suffix.lower()


def bytes_of(text: str) -> int:
    """Returns the size of a text in UTF-8."""
    return len(_encoded(text))


_FACTS: Final[dict[str, tuple[str, Callable[..., Any]]]] = {
    "plain_path": ("String", plain_path_of),
    "folders": ("Set<String>", folders_of),
    "suffix": ("String", suffix_of),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a listing: `kind` is `file`, `folder`, `link` or `other`; only files have a size."""

    path: str
    kind: str
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A folder's entries and those below, in the order of their names; `cut` where there are more."""

    files: list[Entry]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """A file as it was written."""

    path: str
    bytes: int
    sha256: str


def workspace_of(table: FilesTable, call: ToolCall) -> Workspace:
    """Returns the workspace of a call: the shared one, or that of its run."""
    root = Path(table.root).absolute()
    return Workspace(root) if table.shared else Workspace(root, (folder_name(call.tenant), folder_name(call.run_id)))


def folder_name(name: str) -> str:
    """Returns a name that is one folder everywhere, and differs wherever the names do."""
    spelled = quote(name, safe="", errors="surrogatepass").replace(".", "%2E")
    return spelled if len(spelled) <= 200 else f"{spelled[:120]}%{hashlib.sha256(spelled.encode()).hexdigest()}"


def read_file(table: FilesTable) -> Callable[..., Any]:
    """Makes the tool `read_file`."""

    @tool(effect="read", timeout="30s", groups=table.groups, names_result="path", facts=_FACTS, **table.marks())
    def read_file(call: ToolCall, path: str) -> str:
        """Reads a text file of the workspace. `path` counts from the workspace, as in `notes/today.md`."""
        *folders, name = parts_of(path) or [""]
        if not name:
            raise refusal(Reason.NOT_A_FILE, "the workspace itself is a folder")
        with workspace_of(table, call).opened() as top, walked(top, folders) as folder:
            # Four bytes more tell whether there is more, and hold the rest of a character that was cut.
            data, size = read_start(folder, name, table.read_bytes + 4)
        return _shown(data, size, table.read_bytes)

    return read_file


def write_file(table: FilesTable) -> Callable[..., Any]:
    """Makes the tool `write_file`."""

    @tool(
        effect="write",
        timeout="30s",
        groups=table.groups,
        items=["path"],
        texts=["text"],
        facts={**_FACTS, "bytes": ("Long", bytes_of)},
    )
    def write_file(call: ToolCall, path: str, text: str) -> Written:
        """Writes a text file of the workspace, in place of any file of that name; makes folders that are missing."""
        *folders, name = parts_of(path) or [""]
        if not name:
            raise refusal(Reason.NOT_A_FILE, "the workspace itself is a folder")
        data = _encoded(text)
        if len(data) > table.write_bytes:
            raise refusal(Reason.TOO_LARGE, f"{len(data)} bytes; one file has at most {table.write_bytes}")
        with workspace_of(table, call).opened() as top, alone(top):
            found = usage(top, table.total_bytes, table.files)
            if found.size + len(data) > table.total_bytes or found.count + len(folders) + 1 > table.files:
                what = f"it may hold {table.total_bytes} bytes in {table.files} files and folders"
                raise refusal(Reason.WORKSPACE_FULL, f"the workspace has no room for it: {what}")
            with walked(top, folders, make=True) as folder:
                write_whole(folder, name, data, call.idempotency_key)
        return Written("/".join([*folders, name]), len(data), hashlib.sha256(data).hexdigest())

    return write_file


def list_files(table: FilesTable) -> Callable[..., Any]:
    """Makes the tool `list_files`."""
    marks = table.marks("files.kind", "files.bytes", "cut")

    @tool(effect="read", timeout="30s", groups=table.groups, facts=_FACTS, **marks)
    def list_files(call: ToolCall, path: str = ".") -> Listing:
        """Lists the files and folders of the workspace below a folder; links are shown, and not followed."""
        parts, found = parts_of(path), list[Entry]()
        with workspace_of(table, call).opened() as top, walked(top, parts) as folder:
            cut = _listed(folder, "/".join(parts), table.listed, found)
        return Listing(found, cut)

    return list_files


def _listed(folder: int, path: str, most: int, found: list[Entry], depth: int = 0) -> bool:
    """Adds what lies in an open folder and below; tells whether something was left out."""
    listed = entries(folder, _SCANNED)
    cut = len(listed) >= _SCANNED
    for name, known in listed:
        if len(found) >= most:
            return True
        inner = f"{path}/{name}" if path else name
        found.append(Entry(inner, _kind(known.st_mode), known.st_size if stat.S_ISREG(known.st_mode) else None))
        if not stat.S_ISDIR(known.st_mode):
            continue
        if depth >= MOST_FOLDERS:
            cut = True
            continue
        with walked(folder, [name]) as below:
            cut = _listed(below, inner, most, found, depth + 1) or cut
    return cut


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "link"
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"


def _shown(data: bytes, size: int, most: int) -> str:
    """Returns the text of a file, cut with a note; of what is no text its size and digest."""
    whole = len(data) <= most
    for left_out in range(1 if whole else 4):
        end = min(len(data), most) - left_out
        try:
            text = data[:end].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return text if whole else f"{text}\n[cut: the first {end} of {max(size, len(data))} bytes]"
    digest = f", sha256 {hashlib.sha256(data).hexdigest()}" if whole else ""
    return f"[no UTF-8 text: {max(size, len(data))} bytes{digest}]"


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")
