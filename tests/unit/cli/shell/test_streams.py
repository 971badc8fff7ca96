"""Output of a command: any text fits into any encoding, and what cannot be written is lost without an error."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backstay.cli.shell.streams import holds_unicode

ROOT = Path(__file__).resolve().parents[4]
SCRIPT = """
import sys
from backstay.cli.shell.streams import lost, open_streams
open_streams()
print("██▒░ ✓ größe 安 🙂 \\ud800")
sys.stdout.write("x" * 100_000)
sys.stdout.flush()
print(lost(), file=sys.stderr)
"""


def said(redirection: str = "", **environment: str) -> tuple[int, bytes, str]:
    """Runs a process under a redirection of the shell; returns exit code, stdout, stderr."""
    ended = subprocess.run(
        ["/bin/bash", "-c", f'"$0" -c "$1" {redirection}', sys.executable, SCRIPT],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONUTF8": "0", **environment},
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr.decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("encoding", "line"),
    [
        ("utf-8", "██▒░ ✓ größe 安 🙂 \\ud800".encode()),
        ("ascii", rb"##=. + gr\xf6\xdfe \u5b89 \U0001f642 \ud800"),
        ("ascii:strict", rb"##=. + gr\xf6\xdfe \u5b89 \U0001f642 \ud800"),
        ("latin-1", b"##=. + gr\xf6\xdfe \\u5b89 \\U0001f642 \\ud800"),
    ],
)
def test_a_console_shows_what_it_lacks_in_ascii(encoding: str, line: bytes) -> None:
    code, out, err = said(PYTHONIOENCODING=encoding)
    assert (code, out.splitlines()[0], err) == (0, line, "None\n")


@pytest.mark.parametrize(
    ("redirection", "why"),
    [
        ("> /dev/full", "No space left on device"),
        (">&-", "it is closed"),
        ("<&- >&-", "it is closed"),
        ("| head -c 1 > /dev/null", "None"),
    ],
)
def test_what_cannot_be_written_is_lost_and_no_error(redirection: str, why: str) -> None:
    code, _, err = said(redirection)
    assert code == 0
    assert why in err
    assert "Traceback" not in err


@pytest.mark.parametrize("redirection", ["2> /dev/full", "2>&-", ">&- 2>&-"])
def test_nobody_needs_to_hear_what_goes_wrong(redirection: str) -> None:
    assert said(redirection)[0] == 0


@pytest.mark.parametrize(
    ("encoding", "holds"), [("utf-8", True), ("UTF8", True), ("ascii", False), ("latin-1", False), ("cp1252", False)]
)
def test_a_stream_says_whether_it_holds_any_character(encoding: str, holds: bool) -> None:
    assert holds_unicode(io.TextIOWrapper(io.BytesIO(), encoding)) == holds
    assert holds_unicode(io.StringIO())
