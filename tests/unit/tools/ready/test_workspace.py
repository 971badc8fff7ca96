"""Files are opened name by name: no link, no second name, no pipe and no race leads out of the workspace."""

import ctypes
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backstay.errors import ToolError
from backstay.tools.ready.workspace import Workspace, alone, entries, read_start, usage, walked, write_whole

EXCHANGE = 2
AT_FDCWD = -100


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace beside a file that nobody may reach."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("secret")
    (tmp_path / "files" / "notes").mkdir(parents=True)
    (tmp_path / "files" / "notes" / "a.txt").write_text("inside")
    return tmp_path / "files"


@pytest.fixture
def top(root: Path) -> Iterator[int]:
    with Workspace(root).opened() as folder:
        yield folder


def read(top: int, *parts: str) -> bytes:
    *folders, name = parts
    with walked(top, folders) as folder:
        return read_start(folder, name, 100)[0]


def test_a_file_is_read_by_its_names(top: int) -> None:
    assert read(top, "notes", "a.txt") == b"inside"


def test_no_more_is_read_than_asked_for_and_the_whole_size_is_told(top: int) -> None:
    with walked(top, ["notes"]) as folder:
        assert read_start(folder, "a.txt", 2) == (b"in", 6)


def to_folder(root: Path) -> list[str]:
    (root / "out").symlink_to("../outside")
    return ["out", "secret.txt"]


def to_file(root: Path) -> list[str]:
    (root / "out.txt").symlink_to("../outside/secret.txt")
    return ["out.txt"]


def to_root(root: Path) -> list[str]:
    (root / "root").symlink_to("/")
    return ["root", "etc", "passwd"]


def to_inside(root: Path) -> list[str]:
    (root / "same.txt").symlink_to("notes/a.txt")
    return ["same.txt"]


def to_itself(root: Path) -> list[str]:
    (root / "circle").symlink_to("circle")
    return ["circle", "a.txt"]


def second_name(root: Path) -> list[str]:
    os.link(root.parent / "outside" / "secret.txt", root / "hard.txt")
    return ["hard.txt"]


def to_process(root: Path) -> list[str]:
    (root / "proc").symlink_to("/proc/self/root")
    return ["proc", "etc", "passwd"]


@pytest.mark.parametrize("make", [to_folder, to_file, to_root, to_inside, to_itself, second_name, to_process])
def test_a_link_is_refused_wherever_it_leads(root: Path, top: int, make: Callable[[Path], list[str]]) -> None:
    parts = make(root)
    with pytest.raises(ToolError, match=r"^link_refused: "):
        read(top, *parts)


@pytest.mark.parametrize("kind", ["pipe", "folder", "socket"])
def test_what_is_no_file_is_refused_at_once(root: Path, top: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "pipe":
        os.mkfifo(root / "odd")
    elif kind == "folder":
        (root / "odd").mkdir()
    else:
        monkeypatch.chdir(root)  # a socket's whole path is short
        socket.socket(socket.AF_UNIX).bind("odd")
    began = time.monotonic()
    with pytest.raises(ToolError, match=r"^not_a_file: "):
        read(top, "odd")
    assert time.monotonic() - began < 10


def test_what_is_not_there_and_what_is_no_folder_are_told_apart(top: int) -> None:
    with pytest.raises(ToolError, match=r"^not_found: "):
        read(top, "none", "a.txt")
    with pytest.raises(ToolError, match=r"^not_found: "):
        read(top, "none.txt")
    with pytest.raises(ToolError, match=r"^not_a_folder: "):
        read(top, "notes", "a.txt", "b.txt")


def test_a_folder_that_is_swapped_for_a_link_again_and_again_never_leaks(root: Path, top: int) -> None:
    """The race that a check of the path before the opening loses within seconds."""
    (root / "link").symlink_to("../outside")
    (root / "notes" / "secret.txt").write_text("harmless")
    libc, ended = ctypes.CDLL(None, use_errno=True), threading.Event()
    one, other = os.fsencode(root / "notes"), os.fsencode(root / "link")

    def swap() -> None:
        while not ended.is_set():
            libc.renameat2(AT_FDCWD, one, AT_FDCWD, other, EXCHANGE)

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen: dict[str, int] = {}
    try:
        for _ in range(4_000):
            try:
                found = read(top, "notes", "secret.txt").decode()
            except ToolError as error:
                found = str(error).partition(":")[0]
            seen[found] = seen.get(found, 0) + 1
            if {"harmless", "link_refused"} <= set(seen) and sum(seen.values()) >= 1_000:
                break
    finally:
        ended.set()
        swapping.join()
    assert "secret" not in seen
    assert {"harmless", "link_refused"} <= set(seen)


def test_a_write_over_a_link_replaces_the_name_and_leaves_what_it_led_to(root: Path, top: int) -> None:
    (root / "out.txt").symlink_to("../outside/secret.txt")
    os.link(root.parent / "outside" / "secret.txt", root / "hard.txt")
    for name in ("out.txt", "hard.txt"):
        write_whole(top, name, b"mine", "key")
        assert (root / name).read_text() == "mine"
        assert not (root / name).is_symlink()
    assert (root.parent / "outside" / "secret.txt").read_text() == "secret"


def test_a_write_through_a_linked_folder_is_refused_where_it_leads_to_nothing_yet(root: Path, top: int) -> None:
    (root / "out").symlink_to("../outside")
    with pytest.raises(ToolError, match=r"^link_refused: "), walked(top, ["out", "new"], make=True):
        pass
    assert [file.name for file in (root.parent / "outside").iterdir()] == ["secret.txt"]


def test_a_write_onto_a_folder_is_refused_and_leaves_nothing_behind(root: Path, top: int) -> None:
    with pytest.raises(ToolError, match=r"^not_a_file: "):
        write_whole(top, "notes", b"mine", "key")
    assert [file.name for file in root.iterdir()] == ["notes"]


def test_a_second_attempt_takes_what_a_first_one_left(root: Path, top: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object, **__: object) -> None:
        raise SystemExit

    def gone(*_: object, **__: object) -> None:
        raise FileNotFoundError

    with monkeypatch.context() as broken:
        broken.setattr(os, "rename", dies)
        broken.setattr(os, "unlink", gone)
        with pytest.raises(SystemExit):
            write_whole(top, "a.txt", b"half", "key")
    assert len(list(root.iterdir())) == 2
    assert [name for name, _ in entries(top, 10)] == ["notes"]
    write_whole(top, "a.txt", b"whole", "key")
    assert sorted(file.name for file in root.iterdir()) == ["a.txt", "notes"]
    assert (root / "a.txt").read_text() == "whole"


def test_a_written_file_and_its_folders_are_the_owners_alone(root: Path, top: int) -> None:
    with walked(top, ["deep", "er"], make=True) as folder:
        write_whole(folder, "a.txt", b"mine", "key")
    assert oct((root / "deep" / "er" / "a.txt").stat().st_mode & 0o777) == "0o600"
    assert oct((root / "deep").stat().st_mode & 0o777) == "0o700"


def test_the_size_of_a_workspace_counts_links_and_no_more_than_is_needed(root: Path, top: int) -> None:
    (root / "big").symlink_to("/")
    found = usage(top, 1_000, 1_000)
    assert (found.count, found.size) == (3, 6 + 1)
    assert usage(top, 1_000, 1).count == 2


def test_writers_of_one_workspace_take_turns(root: Path) -> None:
    order: list[str] = []
    with Workspace(root).opened() as first, alone(first):

        def second() -> None:
            with Workspace(root).opened() as other, alone(other):
                order.append("second")

        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.2)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


def test_a_root_that_is_a_file_is_told_without_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ToolError, match=r"^workspace_failed: the workspace cannot be used: ") as caught,
        Workspace(tmp_path / "file").opened(),
    ):
        pass
    assert str(tmp_path) not in str(caught.value)
