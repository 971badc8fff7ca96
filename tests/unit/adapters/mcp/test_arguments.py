"""Arguments are checked against schemas that come from outside, and nothing is fetched for it."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backstay.adapters.mcp.arguments import Checker, UncheckableError
from backstay.contracts.problems import Problem

LISTS = Path(__file__).resolve().parents[3] / "integration" / "mcp" / "lists"


def schema_of(server: str, tool: str) -> dict[str, Any]:
    tools = json.loads((LISTS / f"{server}.json").read_text())["tools"]
    return next(one["inputSchema"] for one in tools if one["name"] == tool)


def every_schema() -> Iterator[tuple[str, dict[str, Any]]]:
    """The schemas of all tools of real servers, those of results too."""
    for file in sorted(LISTS.glob("*.json")):
        if file.stem != "made-hostile":
            for tool in json.loads(file.read_text())["tools"]:
                for key in ("inputSchema", "outputSchema"):
                    if key in tool:
                        yield f"{file.stem}/{tool['name']}/{key}", tool[key]


def test_the_schemas_of_all_tools_of_real_servers_can_be_checked_against() -> None:
    failed: list[str] = []
    for name, schema in every_schema():
        try:
            Checker(schema)
        except UncheckableError:
            failed.append(name)
    assert failed == []


@pytest.mark.parametrize(
    ("tool", "why"),
    [
        ("remote_ref", "outside of itself"),
        ("file_ref", "outside of itself"),
        ("relative_id", "outside of itself"),
        ("lookahead", "pattern"),
        ("regex_size", "pattern"),
        ("bad_schema", "none of JSON Schema"),
    ],
)
def test_a_hostile_schema_is_refused_and_says_why(tool: str, why: str) -> None:
    with pytest.raises(UncheckableError, match=why):
        Checker(schema_of("made-hostile", tool))


def test_nothing_is_fetched_for_a_schema() -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)

        def listen() -> None:
            try:
                connection, _ = server.accept()
                heard.append(connection.recv(100))
            except TimeoutError:
                pass

        thread = threading.Thread(target=listen)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"
        for schema in ({"properties": {"a": {"$ref": url}}}, {"$schema": url}, {"$id": url, "$ref": "other.json"}):
            with pytest.raises(UncheckableError):
                Checker(schema).problems({"a": 1})
        thread.join()
    assert heard == []


def test_a_pattern_never_backtracks() -> None:
    began = time.perf_counter()
    assert Checker(schema_of("made-hostile", "redos")).problems({"a": "a" * 50_000 + "!"})
    assert time.perf_counter() - began < 1


def test_what_fits_is_handed_on_as_it_is() -> None:
    checker = Checker({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    assert checker.fitted({"n": 5, "more": None}) == {"n": 5, "more": None}


def test_what_does_not_fit_is_told_without_its_value() -> None:
    checker = Checker({"properties": {"a": {"type": "array", "items": {"type": "integer"}}}, "required": ["b"]})
    found = checker.fitted({"a": [1, "canary-4242"]})
    assert isinstance(found, list)
    assert {problem.field for problem in found} == {"a.1", "$"}
    assert "canary" not in str(found)


def test_a_null_that_means_nothing_is_left_out() -> None:
    checker = Checker({"properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["b"]})
    assert checker.fitted({"a": None, "b": "x"}) == {"b": "x"}
    assert isinstance(checker.fitted({"a": None, "b": None}), list)
    assert isinstance(checker.fitted({"a": None, "b": 5}), list)


def test_half_a_character_fits_nothing() -> None:
    checker = Checker({"properties": {"a": {"type": "string"}}})
    assert checker.fitted({"a": "\ud800"}) == [Problem(field="$", problem="holds half a character, which is no text")]


def test_problems_are_told_up_to_a_limit() -> None:
    checker = Checker({"items": {"type": "integer"}})
    assert len(checker.problems(["x"] * 1_000)) == 50
