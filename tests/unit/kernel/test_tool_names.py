"""The names that models write, and the tools they mean."""

import pytest

from backstay.kernel.tool_names import ToolNames, unknown_tool

NAMES = ToolNames.of(["lookup", "issue_refund", "note", "no_te"])


@pytest.mark.parametrize(
    ("name", "tool"),
    [
        ("lookup", "lookup"),
        ("functions.lookup", "lookup"),
        ("functions.lookup:0", "lookup"),
        ("default_api:lookup", "lookup"),
        ("lookup()", "lookup"),
        (" Lookup ", "lookup"),
        ("LOOKUP", "lookup"),
        ("issue-refund", "issue_refund"),
        ("issueRefund", "issue_refund"),
        ("issue refund", "issue_refund"),
        ("server/issue_refund", "issue_refund"),
        ("lookup<|channel|>json", "lookup"),
        ("look", None),
        ("lookups", None),
        ("note", None),
        ("", None),
        ("()", None),
        ("<|channel|>", None),
    ],
)
def test_a_name_means_the_one_tool_with_its_letters(name: str, tool: str | None) -> None:
    assert NAMES.meant(name) == tool


def test_who_invents_a_tool_is_told_which_there_are() -> None:
    assert unknown_tool("mail", ["pay", "look"]) == "there is no such tool; the tools are `look`, `pay`"
    assert unknown_tool("functions.pay", ["pay"]) == "there is no such tool; write `pay`; the tools are `pay`"
    assert unknown_tool(" ", ["pay"]) == "there is no such tool, because the call names none; the tools are `pay`"
    assert unknown_tool("pay", []) == "there is no such tool"


def test_of_many_tools_some_are_named() -> None:
    told = unknown_tool("x", [f"tool_{number:03}" for number in range(200)])
    assert told.endswith("`tool_019` and 180 more")
    assert len(unknown_tool("x", [f"{number:03}" + "n" * 500 for number in range(200)])) < 1_500
