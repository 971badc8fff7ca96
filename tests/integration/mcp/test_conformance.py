"""The MCP project's own scenarios for clients, those about what is supported here: no logging in with a browser."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .real import ROOT, node_server

CLIENT = Path(__file__).with_name("conformance_client.py")
PACKAGE = "@modelcontextprotocol/conformance@0.1.16"


@pytest.mark.timeout(280)
@pytest.mark.parametrize("scenario", ["initialize", "tools_call", "sse-retry"])
def test_the_client_conforms(scenario: str, tmp_path: Path) -> None:
    node, program = node_server("conformance", PACKAGE)
    client = f"{sys.executable} {CLIENT}"
    command = [node, program, "client", "--command", client, "--scenario", scenario, "--timeout", "60000"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{Path(node).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [*command, "--output-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )
    checks: list[dict[str, Any]] = [
        check for file in tmp_path.rglob("checks.json") for check in json.loads(file.read_text())
    ]
    assert checks, done.stdout[-1_000:] + done.stderr[-1_000:]
    assert [check for check in checks if check["status"] not in ("SUCCESS", "INFO")] == []
    assert any(check["status"] == "SUCCESS" for check in checks)
