"""The MCP project's own scenarios for clients, those about what is supported here.

A worker sends the headers of agent.toml, a bearer token from a named secret among them, and fetches none itself. So of
the scenarios `auth/*` only the one is played that ends with a token for a program, `auth/client-credentials-basic`: the
token is fetched with the scenario's credentials outside of the client, and the server has to take it from us. All
others test how a client logs a person in, registers itself, or signs its own request for a token (metadata-*,
basic-cimd, scope-*, token-endpoint-auth-*, pre-registration, 2025-03-26-*, resource-mismatch, offline-access-*,
client-credentials-jwt, cross-app-access-complete-flow), which is left to whoever keeps the secret; of these it is
tested that a server that wants a token is told as unreachable with its status, and that nothing else is fetched.
"""

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
ELICITS = "elicitation-sep1034-client-defaults"
CALLED_OFF = {ELICITS: ["client-elicitation-sep1034-general"]}
"""A first question over the old protocol is called off, and the call begins again once a person has replied: that the
second one is accepted, with all defaults, stands in the other checks."""
SUPPORTED = (
    "initialize",
    "tools_call",
    "sse-retry",
    ELICITS,
    "auth/client-credentials-basic",
)


@pytest.mark.timeout(280)
@pytest.mark.parametrize("scenario", SUPPORTED)
def test_the_client_conforms(scenario: str, tmp_path: Path) -> None:
    checks, said = played(scenario, tmp_path)
    assert checks, said
    failed = [check["id"] for check in checks if check["status"] not in ("SUCCESS", "INFO")]
    assert failed == CALLED_OFF.get(scenario, [])
    assert any(check["status"] == "SUCCESS" for check in checks)


@pytest.mark.timeout(280)
def test_a_server_that_wants_a_token_which_nobody_gave_is_told_and_nothing_is_fetched_from_its_issuer(
    tmp_path: Path,
) -> None:
    checks, said = played("auth/metadata-default", tmp_path)
    assert "mcp_unreachable: `conformance` cannot be connected to: it answers with HTTP 401: its `headers`" in said
    asked = [str(check["details"].get("path")) for check in checks if check["id"] == "incoming-request"]
    assert set(asked) == {"/mcp"}


def played(scenario: str, tmp_path: Path) -> tuple[list[dict[str, Any]], str]:
    """Plays a scenario; returns the checks of the package, and what was printed."""
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
    return checks, done.stdout[-4_000:] + done.stderr[-4_000:]
