"""The tools of servers that an agent lists, as agent.toml says of them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backstay.adapters.agent.folder import Agent, load_agent
from backstay.adapters.agent.mcp_tools import listed_names
from backstay.errors import ConfigurationError
from backstay.kernel.marks import Marks, Roles

ROOT = Path(__file__).resolve().parents[4]
SERVER = ROOT / "tests" / "integration" / "mcp" / "listing_server.py"
PYTHON_TOOLS = """from backstay.tools import tool
@tool(effect="read")
def look(id: str) -> str:
    "Looks."
    return id
"""
Write = Callable[..., Path]


def table(server: str, more: str = "", name: str = "files") -> str:
    """The table of a server that lists what a real one does."""
    return f'[mcp.{name}]\ncommand = ["{sys.executable}", "-S", "{SERVER}", "{server}"]\n{more}\n'


def loaded(agent_folder: Write, tools: str, servers: str, code: str = "") -> Agent:
    return load_agent(agent_folder(toml=f"tools = {tools}\n{servers}", tools=code) / "clerk")


def refused(agent_folder: Write, tools: str, servers: str) -> str:
    with pytest.raises(ConfigurationError) as refusal:
        loaded(agent_folder, tools, servers)
    return str(refusal.value)


def test_the_listed_tools_of_a_server_are_those_of_the_agent(agent_folder: Write) -> None:
    more = 'effect = { "read_*" = "read", "write_*" = "write" }\ntimeout = "5s"'
    agent = loaded(
        agent_folder, '["mcp:files/read_*", "look", "mcp:files/write_file"]', table("filesystem", more), PYTHON_TOOLS
    )
    assert list(agent.tools) == [
        "mcp:files/read_file",
        "mcp:files/read_text_file",
        "mcp:files/read_media_file",
        "mcp:files/read_multiple_files",
        "look",
        "mcp:files/write_file",
    ]
    spec = agent.tools["mcp:files/read_text_file"].spec
    assert (spec.effect, spec.timeout, spec.function) == ("read", 5.0, "mcp__files__read_text_file")
    assert (spec.untrusted, spec.marked, spec.groups) == (True, Marks({"untrusted": ()}), ["mcp:files"])
    assert agent.tools["mcp:files/write_file"].spec.effect == "write"
    assert "agent.toml:" in agent.tools["mcp:files/write_file"].where


def test_what_nothing_is_said_of_happens_once(agent_folder: Write) -> None:
    agent = loaded(agent_folder, '["mcp:files/list_directory"]', table("filesystem"))
    assert agent.tools["mcp:files/list_directory"].spec.effect == "once"


def test_an_explicit_hint_makes_a_tool_stricter_and_somebody_is_told(agent_folder: Write) -> None:
    agent = loaded(agent_folder, '["mcp:files/write_file"]', table("filesystem", 'effect = { "*" = "read" }'))
    assert agent.tools["mcp:files/write_file"].spec.effect == "once"
    [warning] = agent.mcp.warnings
    assert "not read-only" in warning


def test_marks_and_roles_come_from_patterns(agent_folder: Write) -> None:
    more = """clean = { "read_*" = ["name"] }
labels = { "read_*" = { private = true }, "read_text_file" = { pii = ["mail"] } }
roles = { "*_file" = { items = ["path"] } }
"""
    agent = loaded(agent_folder, '["mcp:files/read_text_file"]', table("filesystem", more))
    spec = agent.tools["mcp:files/read_text_file"].spec
    assert spec.marked == Marks({"private": (), "pii": ("mail",), "untrusted": ()}, ("name",))
    assert spec.roles == Roles(items=("path",))


def test_the_results_of_a_trusted_server_taint_nothing(agent_folder: Write) -> None:
    agent = loaded(agent_folder, '["mcp:files/read_text_file"]', table("filesystem", "trusted = true"))
    assert not agent.tools["mcp:files/read_text_file"].spec.untrusted
    assert agent.tools["mcp:files/read_text_file"].spec.marked == Marks()


def test_a_change_of_schema_or_of_effect_is_another_tool(agent_folder: Write) -> None:
    def digest(server: str, more: str) -> str:
        agent = loaded(agent_folder, '["mcp:files/*"]', table(server, more))
        return next(iter(agent.tools.values())).spec.digest

    first = digest("time", "")
    assert digest("time", "") == first
    assert digest("time", 'effect = { "*" = "read" }') != first


def test_arguments_that_do_not_fit_are_told(agent_folder: Write) -> None:
    tool = loaded(agent_folder, '["mcp:files/convert_time"]', table("time")).tools["mcp:files/convert_time"]
    assert isinstance(tool.typed({"time": 5}), list)
    given = {"source_timezone": "UTC", "time": "10:00", "target_timezone": "UTC"}
    assert tool.typed(given) == given == tool.held(given) == tool.identity(given, given)
    assert tool.facts(given, lambda fact: True) == tool.exposure(given) == {}


def test_hostile_tools_are_left_out_and_the_others_work(agent_folder: Write) -> None:
    agent = loaded(agent_folder, '["mcp:files/*"]', table("made-hostile"))
    assert {"mcp:files/poisoned", "mcp:files/search-a", "mcp:files/search_a"} <= agent.tools.keys()
    left_out = {"remote_ref", "file_ref", "lookahead", "bad_schema", "top_union", "twice", "task_only", "reserved"}
    assert not {f"mcp:files/{name}" for name in left_out} & agent.tools.keys()
    assert all(any(name in warning for warning in agent.mcp.warnings) for name in left_out)
    names = [tool.spec.function for tool in agent.tools.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("tools", "servers", "words"),
    [
        ('["mcp:files"]', table("time"), "`mcp:files` names no tool of a server; write `mcp:files/TOOL`"),
        ('["mcp:fils/*"]', table("time"), "there is no server `fils`; did you mean `files`?|there is no server `fils`"),
        ('["mcp:other/*"]', table("time"), "there is no server `other`"),
        ("[]", table("time"), "no tool of the server `files` is listed"),
        ('["mcp:files/convert_tim"]', table("time"), "has no tool `convert_tim`"),
        ('["mcp:files/x*"]', table("time"), "no tool of the server `files` fits `x"),
        ('["mcp:files/top_union"]', table("made-hostile"), "cannot be used: its schema is a union"),
        ('["mcp:files/remote_ref"]', table("made-hostile"), "cannot be used: its schema refers to something outside"),
        ('["mcp:files/*"]', table("time", 'roles = { "send_*" = { texts = ["a"] } }'), "fits no tool that is listed"),
        ('["mcp:files/*"]', table("time", 'roles = { "*" = { texts = ["tone"] } }'), "names `tone`, which it lacks"),
        (
            '["mcp:files/convert_time"]',
            table("time", 'roles = { "*" = { texts = ["time"], items = ["time"] } }'),
            "stands in `items` and `texts`|stands in `targets`",
        ),
        ('["mcp:files/*"]', table("time", 'labels = { "*" = { user = true } }'), "is no label"),
        ('["mcp:files/*"]', '[mcp.files]\ncommand = ["no-such-program"]\n', "mcp_unreachable: the program of `files`"),
    ],
)
def test_what_cannot_be_is_refused(agent_folder: Write, tools: str, servers: str, words: str) -> None:
    said = refused(agent_folder, tools, servers)
    assert any(part in said for part in words.split("|")), said
    assert "agent.toml:" in said


def test_two_servers_may_have_a_tool_of_one_name(agent_folder: Write) -> None:
    servers = table("time") + table("time", name="clock")
    agent = loaded(agent_folder, '["mcp:files/convert_time", "mcp:clock/convert_time"]', servers)
    assert [tool.spec.function for tool in agent.tools.values()] == [
        "mcp__files__convert_time",
        "mcp__clock__convert_time",
    ]


def test_a_pattern_means_tools_of_servers_only() -> None:
    assert listed_names(["look*", "mcp:a/*"], ["look", "mcp:a/x", "mcp:b/x"]) == ["look*", "mcp:a/x"]


PROBE = """
import sys
from pathlib import Path
from backstay.adapters.agent.folder import load_agent
load_agent(Path(sys.argv[1]))
print(sorted({name.partition(".")[0] for name in sys.modules} & {"mcp", "mcp_types", "jsonschema_rs", "jsonschema"}))
"""


def test_an_agent_without_a_server_pays_nothing(agent_folder: Write) -> None:
    folder = agent_folder(tools=PYTHON_TOOLS) / "clerk"
    said = subprocess.run(
        [sys.executable, "-c", PROBE, str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert said.stdout.strip() == "[]"
