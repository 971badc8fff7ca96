"""The tools for files: what the model reads, where it is kept, and its limits."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backstay.errors import ToolError
from backstay.tools import ToolCall
from backstay.tools.declare import options_of
from backstay.tools.ready.files import folder_name, folders_of, list_files, read_file, suffix_of, write_file
from backstay.tools.ready.settings import FilesTable

Calls = Callable[..., ToolCall]


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., FilesTable]:
    return lambda **keys: FilesTable.model_validate({"root": str(tmp_path / "root"), **keys})


def facts(make: Any, table: FilesTable, **arguments: Any) -> dict[str, Any]:
    options = options_of(make(table))
    assert options is not None
    return {
        name: function(**{key: arguments.get(key) for key in function.__code__.co_varnames[:1]})
        for name, (_, function) in options.facts.items()
    }


def test_what_is_written_is_read_again_and_listed(files: Callable[..., FilesTable], call: Calls) -> None:
    table = files()
    written = write_file(table)(call(), "notes/grüße.txt", "hallo\n")
    assert (written.path, written.bytes) == ("notes/grüße.txt", 6)
    assert written.sha256 == hashlib.sha256(b"hallo\n").hexdigest()
    assert read_file(table)(call(), "./notes//grüße.txt") == "hallo\n"
    found = list_files(table)(call())
    assert [(one.path, one.kind, one.bytes) for one in found.files] == [
        ("notes", "folder", None),
        ("notes/grüße.txt", "file", 6),
    ]
    assert not found.cut
    assert [one.path for one in list_files(table)(call(), "notes").files] == ["notes/grüße.txt"]


def test_each_run_of_each_tenant_has_a_workspace_of_its_own(files: Callable[..., FilesTable], call: Calls) -> None:
    table = files()
    write_file(table)(call("run-1"), "a.txt", "one")
    for other in (call("run-2"), call("run-1", tenant="else")):
        with pytest.raises(ToolError, match=r"^not_found: "):
            read_file(table)(other, "a.txt")
    assert read_file(table)(call("run-1", key="other"), "a.txt") == "one"


@pytest.mark.parametrize("run_id", ["..", ".", "a/../../b", "/etc", "x" * 900, "nul\0", "ü\ud800", "a%2Fb", "a b"])
def test_no_id_of_a_run_leads_out_of_the_root(
    files: Callable[..., FilesTable], call: Calls, tmp_path: Path, run_id: str
) -> None:
    write_file(files())(call(run_id), "a.txt", "mine")
    [found] = (tmp_path / "root" / "acme").glob("*/a.txt")
    assert found.parent.name == folder_name(run_id)


def test_names_of_folders_differ_where_ids_do() -> None:
    ids = ["a", "A", "a/b", "a%2Fb", "a.b", "a%2Eb", "x" * 900, "x" * 901]
    assert len({folder_name(one) for one in ids}) == len(ids)
    assert all(len(folder_name(one)) <= 200 for one in ids)


def test_a_shared_workspace_is_the_root_itself(files: Callable[..., FilesTable], call: Calls, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "handbook.md").write_text("rules")
    assert read_file(files(shared=True))(call("any"), "handbook.md") == "rules"


def test_a_long_file_is_cut_between_characters_with_a_note(
    files: Callable[..., FilesTable], call: Calls, tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    table = files(shared=True, read_bytes=5)
    (tmp_path / "root" / "long.txt").write_text("ääää")
    assert read_file(table)(call(), "long.txt") == "ää\n[cut: the first 4 of 8 bytes]"
    (tmp_path / "root" / "fits.txt").write_text("12345")
    assert read_file(table)(call(), "fits.txt") == "12345"


def test_what_is_no_text_is_told_by_size_and_digest(
    files: Callable[..., FilesTable], call: Calls, tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    data = os.urandom(64) + b"\xff\xfe"
    (tmp_path / "root" / "odd.bin").write_bytes(data)
    (tmp_path / "root" / "huge.bin").write_bytes(b"\xff" * 200)
    table = files(shared=True, read_bytes=100)
    digest = hashlib.sha256(data).hexdigest()
    assert read_file(table)(call(), "odd.bin") == f"[no UTF-8 text: 66 bytes, sha256 {digest}]"
    assert read_file(table)(call(), "huge.bin") == "[no UTF-8 text: 200 bytes]"


def test_limits_of_a_file_and_of_the_workspace_are_refused_with_the_limit(
    files: Callable[..., FilesTable], call: Calls
) -> None:
    write = write_file(files(write_bytes=10, total_bytes=15, files=4))
    with pytest.raises(ToolError, match=r"^too_large: 11 bytes; one file has at most 10"):
        write(call(), "a", "x" * 11)
    write(call(), "a", "x" * 10)
    with pytest.raises(ToolError, match=r"^workspace_full: "):
        write(call(), "b", "x" * 6)
    write(call(), "b", "x" * 5)
    with pytest.raises(ToolError, match=r"^workspace_full: "):
        write(call(), "deep/er/c", "")


def test_a_long_listing_is_cut_in_the_order_of_names_and_shows_links(
    files: Callable[..., FilesTable], call: Calls, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for name in "bca":
        (root / name).touch()
    (root / "link").symlink_to("/etc")
    os.mkfifo(root / "pipe")
    shown = list_files(files(shared=True, listed=2))(call())
    assert ([one.path for one in shown.files], shown.cut) == (["a", "b"], True)
    everything = list_files(files(shared=True))(call())
    kinds = [(one.path, one.kind) for one in everything.files]
    assert kinds == [("a", "file"), ("b", "file"), ("c", "file"), ("link", "link"), ("pipe", "other")]


def test_the_workspace_itself_is_neither_read_nor_written(files: Callable[..., FilesTable], call: Calls) -> None:
    for refused in (lambda: read_file(files())(call(), "."), lambda: write_file(files())(call(), "./", "x")):
        with pytest.raises(ToolError, match=r"^not_a_file: "):
            refused()


def test_rules_read_the_plain_path_its_folders_and_its_ending(files: Callable[..., FilesTable]) -> None:
    assert facts(write_file, files(), path="./a//b/C.MD", text="ü") == {
        "plain_path": "a/b/C.MD",
        "folders": [".", "a", "a/b"],
        "suffix": ".md",
        "bytes": 2,
    }
    assert facts(list_files, files()) == {"plain_path": ".", "folders": [], "suffix": ""}
    assert (folders_of("../x"), suffix_of("../x.py")) == ([], "")


def test_results_are_of_outsiders_unless_the_table_trusts_them(files: Callable[..., FilesTable]) -> None:
    marks = [options_of(make(files())) for make in (read_file, list_files, write_file)]
    assert [one and one.untrusted for one in marks] == [True, True, False]
    assert marks[1] is not None
    assert marks[1].marks.clean == ("files.kind", "files.bytes", "cut")
    trusted = options_of(list_files(files(trusted=True, clean=["files.path"], groups=["archive"])))
    assert trusted is not None
    assert (trusted.untrusted, trusted.marks.clean, trusted.groups) == (False, (), ("archive",))
