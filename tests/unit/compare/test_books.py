"""The books count what was carried out, and can kill the process that writes into them."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from backstay.compare.books import Books, Entry

REFUND = {"order_id": "A17", "amount": "25.00"}


def test_an_effect_with_a_known_key_is_not_written_again(tmp_path: Path) -> None:
    books = Books(tmp_path / "books")
    assert books.write("run-1", "issue_refund", REFUND, key="one")
    assert not books.write("run-1", "issue_refund", REFUND, key="one")
    assert books.write("run-1", "issue_refund", REFUND, key="another")
    assert len(books.of(["run-1"])) == 2


def test_an_effect_without_a_key_is_an_effect_each_time(tmp_path: Path) -> None:
    books = Books(tmp_path / "books")
    assert [books.write("run-1", "issue_refund", REFUND, key=None) for _ in range(2)] == [True, True]


def test_only_the_runs_that_are_asked_for_are_read(tmp_path: Path) -> None:
    books = Books(tmp_path / "books")
    books.note("run-1", "lookup_order", {"order_id": "A17"})
    books.write("run-2", "delete_account", {"customer_id": "K1"}, risky=True, key=None)
    assert books.of(["run-2", "run-3"]) == [
        Entry("run-2", "delete_account", json.dumps({"customer_id": "K1"}), effect=True, risky=True)
    ]


def test_a_planted_crash_kills_the_process_once_the_effect_has_happened_and_only_once(tmp_path: Path) -> None:
    path = tmp_path / "books"
    Books(path).plant_crash("erratic", after=2)
    code = """
import sys, pathlib
from backstay.compare.books import Books
books = Books(pathlib.Path(sys.argv[1]))
books.write("other-01", "send_email", {}, key=None)
books.note("erratic-01", "lookup_order", {})
for text in ("a", "b", "c"):
    books.write("erratic-01", "send_email", {"text": text}, key=None)
"""
    command = [sys.executable, "-c", code, str(path)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert [entry.args for entry in Books(path).of(["erratic-01"])] == ["{}", '{"text": "a"}', '{"text": "b"}']
    assert subprocess.run(command, check=False).returncode == 0
