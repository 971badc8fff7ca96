import json
from pathlib import Path
from typing import Any

import pytest

from backstay.kernel.mcp_pins import Changes, Listing, changes, digest_of, listing_of
from backstay.kernel.mcp_schema import UnfitError

LISTS = Path(__file__).resolve().parents[2] / "integration" / "mcp" / "lists"
TOOL = {"name": "read", "description": "Reads.", "inputSchema": {"type": "object", "properties": {}}}


def listed(server: str) -> Listing:
    """The list of a real server."""
    return listing_of(json.loads((LISTS / f"{server}.json").read_text())["tools"])


@pytest.mark.parametrize(
    ("server", "tools"),
    [
        ("everything", 12),
        ("excel", 46),
        ("fetch", 1),
        ("filesystem", 14),
        ("git", 12),
        ("github", 26),
        ("memory", 9),
        ("notion", 24),
        ("playwright", 25),
        ("sequential-thinking", 1),
        ("sqlite", 6),
        ("time", 2),
    ],
)
def test_the_tools_of_real_servers_can_be_used(server: str, tools: int) -> None:
    found = listed(server)
    assert len(found.tools) == tools
    assert len(set(found.digests.values())) == tools
    assert list(found.refused) == (["simulate-research-query"] if server == "everything" else [])
    assert all(tool.parameters["type"] == "object" and tool.description for tool in found.tools.values())


@pytest.mark.parametrize(
    ("tool", "why"),
    [
        ("top_union", "union at the top"),
        ("reserved", "an argument has a name"),
        ("ref_bomb", "multiply"),
        ("a b", "its name"),
        ("übung", "its name"),
        ("", "its name"),
        ('quo"te\\', "its name"),
        ("twice", "more than once"),
        ("task_only", "only be called as a task"),
    ],
)
def test_a_hostile_tool_is_refused_and_says_why(tool: str, why: str) -> None:
    found = listed("made-hostile")
    assert why in found.refused[tool]
    assert tool not in found.tools


def test_hostile_tools_spoil_no_other() -> None:
    found = listed("made-hostile")
    assert {"poisoned", "search-a", "search_a", "array_without_items", "long_description"} <= found.tools.keys()
    assert "\u200b" not in found.tools["poisoned"].description
    assert len(found.tools["long_description"].description.encode()) <= 4_096


@pytest.mark.parametrize("entry", [None, 5, "read", [], {}, {"name": 5}, {"name": None, "inputSchema": {}}])
def test_what_is_no_tool_is_refused(entry: object) -> None:
    found = listing_of([entry, TOOL])
    assert list(found.tools) == ["read"]
    assert len(found.refused) == 1


def test_a_tool_without_words_is_described_by_its_title_else_by_its_name() -> None:
    titled = listing_of([{**TOOL, "description": " ", "title": "Reader"}])
    bare = listing_of([{**TOOL, "description": None, "title": 5, "outputSchema": 5}])
    assert titled.tools["read"].description == "Reader"
    assert bare.tools["read"].description == "read"
    assert bare.tools["read"].output_schema == {}


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Reader"},
        {"description": "Reads everything."},
        {"inputSchema": {"type": "object", "properties": {"a": {}}}},
        {"outputSchema": {"type": "object"}},
        {"annotations": {"readOnlyHint": True}},
        {"execution": {"taskSupport": "optional"}},
    ],
)
def test_every_change_that_counts_shows_in_the_digest(change: dict[str, Any]) -> None:
    assert digest_of({**TOOL, **change}) != digest_of(TOOL)


@pytest.mark.parametrize("change", [{"icons": []}, {"_meta": {"a": 1}}, {"title": None}])
def test_any_other_change_does_not(change: dict[str, Any]) -> None:
    assert digest_of({**TOOL, **change}) == digest_of(TOOL)


def test_the_order_of_keys_changes_no_digest() -> None:
    assert digest_of(dict(reversed(TOOL.items()))) == digest_of(TOOL)


def test_what_json_cannot_write_has_no_digest() -> None:
    with pytest.raises(UnfitError):
        digest_of({**TOOL, "annotations": {"x": float("nan")}})
    assert "JSON" in listing_of([{**TOOL, "annotations": {"x": float("nan")}}]).refused["read"]


def test_a_changed_a_vanished_and_a_new_tool_are_told_apart() -> None:
    found = changes({"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "d": "1"})
    assert found == Changes(changed=("b",), gone=("c",), new=("d",))
    assert not found.none
    assert changes({"a": "1"}, {"a": "1"}).none
