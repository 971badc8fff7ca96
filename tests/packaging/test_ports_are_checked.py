"""The type checker sees an adapter that no longer fits its port, planted in a copy of the checkout."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

RENAMES = {
    "History": ("backstay/adapters/engine/history.py", "relatives"),
    "Starts": ("backstay/adapters/engine/starts.py", "used_before"),
    "Effects": ("backstay/adapters/engine/effects.py", "is_over"),
    "Catalog": ("backstay/adapters/agent/catalog.py", "admission"),
    "Models": ("backstay/adapters/agent/catalog.py", "reply"),
    "Secrets": ("backstay/adapters/secret/store.py", "scrubbed"),
    "Notifier": ("backstay/adapters/notice/webhook.py", "send"),
    "Gate": ("policies/gate.py", "members"),
    "Tool": ("backstay/adapters/tool/function.py", "identity"),
}
"""For each port, an adapter and a method of it; no two renames hide each other."""


def errors_of(checkout: Path) -> list[str]:
    """Returns the complaints of strict pyright about the composition root, and about where agents' tools meet."""
    places = ["backstay/app", "backstay/adapters/agent/folder.py"]
    said = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, *places],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert said.returncode in (0, 1), said.stdout + said.stderr
    return [found["message"] for found in json.loads(said.stdout)["generalDiagnostics"] if found["severity"] == "error"]


@pytest.mark.timeout(300)
def test_the_composition_fits_its_ports(checkout: Path) -> None:
    assert errors_of(checkout) == []


@pytest.mark.timeout(300)
def test_an_adapter_that_leaves_its_port_is_caught(checkout: Path) -> None:
    for file, method in RENAMES.values():
        place = checkout / file
        text, count = re.subn(rf"def {method}\(", f"def {method}_renamed(", place.read_text())
        assert count == 1, f"{file} defines `{method}` {count} times"
        place.write_text(text)
    said = "\n".join(errors_of(checkout))
    # Of a tool of tools.py, which stands among tools of other kinds, the type checker says no more than that.
    expected = {port: f'"{method}" is not present' for port, (_, method) in RENAMES.items()}
    expected["Tool"] = 'is not assignable to declared type "dict[str, PlacedTool]"'
    missed = [port for port, words in expected.items() if words not in said]
    assert not missed, said
