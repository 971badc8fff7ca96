"""Ready-made tools are listed as `std:NAME`, and every mistake is told with its file, line and mend."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backstay.adapters.agent.folder import Agent, load_agent
from backstay.errors import ConfigurationError

OWN = '''
from backstay.tools import tool

@tool
def read_file(path: str) -> str:
    """Reads."""
    return path
'''
FILES = '\n[std.files]\nroot = "{root}"\n'
Load = Callable[..., Agent]


@pytest.fixture
def load(agent_folder: Callable[..., Path], tmp_path: Path) -> Load:
    def loaded(toml: str, tools: str = "") -> Agent:
        return load_agent(agent_folder("clerk", toml.replace("{root}", str(tmp_path / "files")), tools) / "clerk")

    return loaded


def refused(load: Load, toml: str, tools: str = "") -> tuple[str, str, str | None]:
    with pytest.raises(ConfigurationError) as caught:
        load(toml, tools)
    file, _, line = (caught.value.where or "").rpartition(":")
    assert file.endswith("clerk/agent.toml")
    return caught.value.what, line, caught.value.mend


def test_a_listed_tool_has_its_name_without_the_prefix_and_its_effect(load: Load) -> None:
    agent = load('tools = ["std:read_file", "std:write_file", "std:list_files"]' + FILES)
    assert {name: tool.spec.effect for name, tool in agent.tools.items()} == {
        "read_file": "read",
        "write_file": "write",
        "list_files": "read",
    }
    assert all(tool.spec.name == name and tool.plain for name, tool in agent.tools.items())


def test_own_tools_stand_beside_those_that_are_listed(load: Load) -> None:
    agent = load('tools = ["read_file", "std:list_files"]' + FILES, OWN)
    assert list(agent.tools) == ["read_file", "list_files"]


def test_without_a_list_there_is_no_ready_made_tool(load: Load) -> None:
    assert list(load(FILES, OWN).tools) == ["read_file"]


def test_a_misspelt_name_is_told_with_what_was_meant(load: Load) -> None:
    what, line, mend = refused(load, 'tools = ["std:read_fil"]')
    assert (what, line) == ("`std:read_fil` is no ready-made tool", "2")
    assert mend is not None
    assert mend.startswith("did you mean `std:read_file`? they are `std:http_request`, ")


def test_code_is_run_by_a_server_with_a_sandbox_only(load: Load) -> None:
    _, _, mend = refused(load, 'tools = ["std:run_code"]')
    assert mend is not None
    assert "MCP server" in mend


def test_a_missing_table_is_told_with_what_to_write(load: Load) -> None:
    assert refused(load, 'tools = ["std:read_file"]') == (
        "`std:read_file` has no table `[std.files]`",
        "2",
        'write it, with `root = "workspace"`',
    )


def test_a_misspelt_key_of_a_table_is_told_with_its_line(load: Load) -> None:
    what, line, mend = refused(load, '[std.files]\nrot = "x"\n')
    assert (what, line) == ("`std.files.rot`: unknown field", "3")
    assert mend is not None
    assert mend.startswith("did you mean `root`?")


def test_two_tools_of_one_name_are_refused(load: Load) -> None:
    what, line, _ = refused(load, 'tools = ["read_file", "std:read_file"]' + FILES, OWN)
    assert (what, line) == ("`read_file` and `std:read_file` are both called `read_file`", "2")


def test_an_option_that_does_not_fit_is_told_at_its_table(load: Load) -> None:
    what, line, _ = refused(load, 'tools = ["std:read_file"]' + FILES + 'labels = { "No Label" = true }')
    assert (what, line) == ("`No Label` is no label", "3")


@pytest.mark.parametrize("root", [".", "files", "../clerk", "..", "../.."])
def test_a_workspace_that_reaches_the_agents_own_files_is_refused(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    (tmp_path / "agents" / "clerk").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "agents" / "clerk")
    what, line, _ = refused(load, f'tools = ["std:read_file"]\n[std.files]\nroot = "{root}"')
    assert (what, line) == ("the folder of workspaces and that of the agent lie in one another", "4")


PROBE = """
import sys
from pathlib import Path
from backstay.adapters.agent.folder import load_agent
load_agent(Path(sys.argv[1]))
print(*sorted(name for name in sys.modules if name.startswith("backstay.tools.ready.")))
"""


def test_an_agent_that_lists_none_loads_none(agent_folder: Callable[..., Path]) -> None:
    folder = agent_folder("clerk", "", OWN) / "clerk"
    said = subprocess.run([sys.executable, "-c", PROBE, folder], capture_output=True, text=True, timeout=60, check=True)
    # Their settings are read with agent.toml; they load no library.
    assert said.stdout.split() == ["backstay.tools.ready.public_addresses", "backstay.tools.ready.settings"]
