"""A worker keeps by what it pins the tools of servers, and says what has changed."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backstay.adapters.agent.mcp_tools import NO_SERVERS
from backstay.app.application import Application
from backstay.app.pins import pin_tools


def application_of(about: str = "files 1.0", **pins: str) -> Application:
    """An application with one agent that has a server, and one that has none."""
    servers = SimpleNamespace(pools={"files": SimpleNamespace(pins=pins, about=about)})
    agents: dict[str, Any] = {
        "clerk": SimpleNamespace(name="clerk", mcp=SimpleNamespace(servers=servers)),
        "plain": SimpleNamespace(name="plain", mcp=NO_SERVERS),
    }
    return cast("Application", SimpleNamespace(catalog=SimpleNamespace(agents=agents)))


def test_a_change_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    said: list[str] = []
    pin_tools(application_of(read="1", write="1"), said.append)
    assert said == []
    pin_tools(application_of(read="2", more="1"), said.append)
    pin_tools(application_of(read="2", more="1"), said.append)
    [line] = said
    assert line == "clerk: the server `files` lists tools that have changed: `read`, `write`, `more`"


def test_a_server_that_calls_itself_otherwise_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    said: list[str] = []
    pin_tools(application_of(read="1"), said.append)
    pin_tools(application_of("files 1.1", read="1"), said.append)
    pin_tools(application_of("files 1.1", read="1"), said.append)
    assert said == ["clerk: the server `files` is `files 1.1` now, and was `files 1.0`"]


def test_a_place_where_nothing_can_be_kept_harms_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "backstay").write_text("a file")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    pin_tools(application_of(read="1"), print)
