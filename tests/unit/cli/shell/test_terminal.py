"""What commands print: JSON that any console takes, and names that cannot steer it."""

import io
import json
import sys

import pytest

from backstay.cli.shell.terminal import word, write_json

VALUE = {"goal": "größe 安 🙂", "run_id": "a\nb\x1b[2J\u202e\x7f\x9b\ud800\U000e0041"}


@pytest.mark.parametrize(("encoding", "shown"), [("utf-8", True), ("ascii", False), ("latin-1", False)])
def test_json_is_json_on_any_console_and_steers_none(
    monkeypatch: pytest.MonkeyPatch, encoding: str, shown: bool
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding))
    write_json(VALUE)
    text = written.getvalue().decode(encoding)
    assert json.loads(text) == VALUE
    assert ("größe" in text) == shown
    assert all(" " <= one <= "~" or one == "\n" or one in "größe安🙂" for one in text)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("run-1", "run-1"), ("a b", "'a b'"), ("a\nb", r"'a\u000ab'"), ("x; rm -rf ~", "'x; rm -rf ~'")],
)
def test_a_name_in_a_command_is_one_word_on_one_line(name: str, shown: str) -> None:
    assert word(name) == shown
