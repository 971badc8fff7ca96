import json
from pathlib import Path

import pytest

from backstay.kernel.mcp_names import LONGEST_FUNCTION, function_names, is_usable, split_name, tool_name

LISTS = Path(__file__).resolve().parents[2] / "integration" / "mcp" / "lists"
REAL = sorted(file for file in LISTS.glob("*.json") if file.stem != "made-hostile")


def all_names() -> list[str]:
    """The names of all tools of the real lists, and the usable ones of the hostile one."""
    found: list[str] = []
    for file in LISTS.glob("*.json"):
        tools = {tool["name"] for tool in json.loads(file.read_text())["tools"]}
        found += [tool_name(file.stem, tool) for tool in tools if is_usable(tool)]
    return found


def test_a_name_says_server_and_tool_and_is_read_back() -> None:
    assert tool_name("files", "read_file") == "mcp:files/read_file"
    assert split_name("mcp:files/read_file") == ("files", "read_file")
    assert split_name("mcp:files/user/update") == ("files", "user/update")
    assert split_name("mcp:files/*") == ("files", "*")


@pytest.mark.parametrize("name", ["read_file", "mcp:", "mcp:files", "mcp:files/", "mcp:/read", "MCP:files/read"])
def test_any_other_name_is_none_of_a_server(name: str) -> None:
    assert split_name(name) is None


@pytest.mark.parametrize("tool", ["read_file", "search-a", "admin.tools.list", "user-profile/update", "x" * 128, "A1"])
def test_a_tool_may_have_a_plain_name(tool: str) -> None:
    assert is_usable(tool)


@pytest.mark.parametrize("tool", ["", "a b", "übung", 'quo"te\\', "x" * 129, "a\n", "a\0", "a\u200b", "*", "mcp:x"])
def test_a_tool_may_have_no_other_name(tool: str) -> None:
    assert not is_usable(tool)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("mcp:files/read_file", "mcp__files__read_file"),
        ("mcp:git/git-status", "mcp__git__git-status"),
        ("mcp:admin/admin.tools.list", "mcp__admin__admin_tools_list_97a2b6c9"),
        ("mcp:a__b/c", "mcp__a__b__c_8c21ab50"),
    ],
)
def test_a_model_sees_a_name_that_every_server_takes(name: str, function: str) -> None:
    found = function_names([name])[name]
    assert found.rpartition("_")[0] == function.rpartition("_")[0]
    assert len(found) == len(function)


def test_a_name_that_loses_nothing_has_no_digest() -> None:
    assert function_names(["mcp:files/read_file"]) == {"mcp:files/read_file": "mcp__files__read_file"}


def test_long_names_with_one_beginning_stay_apart() -> None:
    names = [tool_name("s", "z" * 127 + last) for last in "xy"]
    found = function_names(names)
    assert len(set(found.values())) == 2
    assert {len(function) for function in found.values()} == {LONGEST_FUNCTION}


def test_a_name_of_a_python_tool_is_left_to_it() -> None:
    found = function_names(["mcp:files/read"], taken=["mcp__files__read"])
    assert found["mcp:files/read"].startswith("mcp__files__read_")


def test_two_servers_whose_names_run_together_stay_apart() -> None:
    found = function_names(["mcp:a_/b", "mcp:a/_b"])
    assert len(set(found.values())) == 2
    assert "mcp__a___b" not in found.values()


def test_nobody_takes_the_digested_name_of_another_tool() -> None:
    digested = function_names(["mcp:s/read.file"])["mcp:s/read.file"]
    copy = tool_name("s", digested.removeprefix("mcp__s__"))
    found = function_names(["mcp:s/read.file", copy])
    assert found["mcp:s/read.file"] == digested
    assert found[copy] != digested


def test_the_same_names_are_given_whatever_the_order() -> None:
    names = all_names()
    assert function_names(names) == function_names(names[::-1])


def test_all_tools_of_real_and_hostile_servers_get_names_that_every_model_server_takes() -> None:
    names = all_names()
    found = function_names(names)
    assert len(set(found.values())) == len(names) > 180
    assert all(function.isascii() and len(function) <= LONGEST_FUNCTION for function in found.values())
    assert all(character.isalnum() or character in "_-" for function in found.values() for character in function)


def test_any_other_name_gets_one_too() -> None:
    assert function_names(["std:http_request"])["std:http_request"].startswith("mcp____std_http_request_")
