"""`backstay mcp`: what servers list, what of it is used, what has changed."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backstay.adapters.mcp.kept_pins import keep_pins, kept_about, kept_pins
from backstay.cli import execute

from .place import RAW

SERVER = Path(__file__).with_name("listing_server.py")
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def agents(agent_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An agent with a server that lists what a real one does."""
    toml = f"""tools = ["mcp:files/read_*"]
[mcp.files]
command = ["{sys.executable}", "-S", "{SERVER}", "filesystem"]
effect = {{ "*" = "read" }}
"""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("BACKSTAY_AGENTS", str(agent_folder(toml=toml)))
    return tmp_path / "agents"


def test_the_tools_of_a_server_are_listed_with_what_they_may_do(capsys: Captured) -> None:
    assert execute(["mcp", "list", "-o", "json"]) == 0
    [server] = json.loads(capsys.readouterr().out)
    tools = {tool["name"]: tool for tool in server["tools"]}
    assert (server["agent"], server["server"], len(tools)) == ("clerk", "files", 14)
    assert (tools["read_file"]["effect"], tools["read_file"]["listed"]) == ("read", True)
    assert (tools["write_file"]["effect"], tools["write_file"]["listed"]) == ("once", False)
    assert "not read-only" in tools["write_file"]["warning"]
    assert execute(["mcp", "list", "files"]) == 0
    assert "read_media_file" in capsys.readouterr().out


def test_what_has_changed_since_a_worker_pinned_it_is_told(capsys: Captured) -> None:
    assert execute(["mcp", "check", "files", "-o", "json"]) == 0
    [first] = json.loads(capsys.readouterr().out)
    assert first["changes"] is None
    assert "[mcp.files]" in first["lines"]
    digests = {tool["name"]: tool["digest"] for tool in first["tools"]}
    keep_pins("clerk", "files", digests)
    assert kept_pins("clerk", "files") == digests
    assert execute(["mcp", "check", "files"]) == 0
    assert "nothing has changed" in capsys.readouterr().err
    keep_pins("clerk", "files", {**digests, "read_file": "sha256:another", "vanished": "sha256:x"})
    assert execute(["mcp", "check", "files"]) == 3
    said = capsys.readouterr().err
    assert "changed since a worker here pinned it: read_file" in said
    assert "gone since a worker here pinned it: vanished" in said


def test_a_server_that_calls_itself_otherwise_is_told_and_is_no_drift(capsys: Captured) -> None:
    assert execute(["mcp", "check", "files", "-o", "json"]) == 0
    [first] = json.loads(capsys.readouterr().out)
    assert first["about"] == {"now": "filesystem 1", "pinned": None}
    keep_pins("clerk", "files", {tool["name"]: tool["digest"] for tool in first["tools"]}, "filesystem 0.9")
    assert kept_about("clerk", "files") == "filesystem 0.9"
    assert execute(["mcp", "check", "files"]) == 0
    said = capsys.readouterr().err
    assert "the server calls itself `filesystem 1`, and called itself `filesystem 0.9` then" in " ".join(said.split())
    assert "nothing has changed" in said


def test_a_server_that_cannot_be_reached_is_told(agents: Path, capsys: Captured) -> None:
    file = agents / "clerk" / "agent.toml"
    file.write_text(file.read_text().replace(str(SERVER), str(RAW.with_name("gone.py"))))
    assert execute(["mcp", "check", "files"]) == 1
    assert "mcp_unreachable: `files` cannot be connected to" in capsys.readouterr().err


def test_a_server_that_nobody_names_is_told(capsys: Captured) -> None:
    assert execute(["mcp", "check", "fils"]) == 2
    assert "did you mean `files`?" in capsys.readouterr().err


def test_without_a_server_that_is_said(agents: Path, capsys: Captured) -> None:
    (agents / "clerk" / "agent.toml").write_text('instructions = "x"\n')
    assert execute(["mcp", "list"]) == 0
    assert "no agent names an MCP server" in capsys.readouterr().err


def test_the_settings_of_a_server_are_shown(agents: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILES_TOKEN", "token-of-files-4242")
    file = agents / "clerk" / "agent.toml"
    more = """env = { TOKEN = "secret:FILES_TOKEN", PLAIN = "canary-4242" }
roles = { "read_text_file" = { items = ["path"] } }
"""
    file.write_text(file.read_text() + more)
    assert execute(["show", "--agent", "clerk", "-o", "json"]) == 0
    shown = capsys.readouterr().out
    settings = {one["key"]: one["value"] for one in json.loads(shown)["settings"]}
    assert settings["mcp.files.env"] == {"TOKEN": "secret:FILES_TOKEN", "PLAIN": "(set)"}
    assert settings["mcp.files.roles"]["read_text_file"]["items"] == ["path"]
    assert settings["mcp.files.effect"] == {"*": "read"}
    assert "4242" not in shown
    assert execute(["show", "--agent", "clerk"]) == 0
    assert "mcp:files/read_file" in capsys.readouterr().out
