"""A test whose end hangs ends the process by name, also after it has failed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HANGING = """
import time
import pytest

@pytest.fixture
def hanging():
    yield
    time.sleep(300)

def test_that_hangs(hanging):
    assert {holds}
"""


@pytest.mark.parametrize("holds", [True, False])
def test_an_end_that_hangs_is_told_by_name(tmp_path: Path, holds: bool) -> None:
    (tmp_path / "test_it.py").write_text(HANGING.format(holds=holds))
    options = ["-p", "no:xdist", "-p", "no:cacheprovider", "-p", "tests.conftest", "-c", os.devnull]
    watch = ["-o", "faulthandler_timeout=1", "-o", "faulthandler_exit_on_timeout=true"]
    said = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *watch, "test_it.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert said.returncode == 1
    assert "in hanging" in said.stderr
