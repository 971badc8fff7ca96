"""The doctor looks at the connection wherever Backstay is installed, and at agents where the part that serves is."""

import json
import subprocess
import sys

import pytest

BASE = """
import sys
sys.modules.update(dict.fromkeys(("cedarpy", "openai", "httpx2"), None))  # as if only what starts runs were installed
from backstay import extras
extras.EXTRAS = {**extras.EXTRAS, "worker": frozenset({"no_such_module"})}
from backstay.cli import execute
sys.exit(execute(["doctor", "-o", "json"]))
"""


def test_the_connection_is_checked_without_the_part_that_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    ended = subprocess.run([sys.executable, "-c", BASE], capture_output=True, text=True, timeout=120, check=False)
    found = json.loads(ended.stdout)
    assert (ended.returncode, ended.stderr) == (5, "")
    (server, agents) = found["checks"]
    assert (server["name"], server["ok"]) == ("temporal", False)
    assert (agents["ok"], agents["mend"]) == (True, "pip install 'backstay[worker]'")
