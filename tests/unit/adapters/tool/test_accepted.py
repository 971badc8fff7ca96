"""What model servers refuse of a tool: rewritten where all take another form, else an error with place and mend."""

import json
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from pydantic import BaseModel, Field

from backstay.adapters.agent.catalog import Catalog
from backstay.adapters.agent.folder import load_agent
from backstay.adapters.agent.organisation import load_organisation
from backstay.adapters.tool.arguments import Arguments
from backstay.adapters.tool.function import tool_of
from backstay.errors import ConfigurationError
from backstay.settings import Settings
from backstay.tools import tool


class Point(NamedTuple):
    x: float
    y: float


class Node(BaseModel):
    weight: float = float("nan")
    limits: list[float] = [float("inf")]
    corner: tuple[int, str] = (0, "")
    items: list["Node"] = []


class Nothing(Enum):
    """A choice of no values."""


def schema(hint: Any) -> dict[str, Any]:
    """The schema of a tool with one argument of a type."""

    def place(value: Any) -> str:
        """Places."""
        return "placed"

    place.__annotations__["value"] = hint
    return tool_of("place", tool(place)).spec.parameters


def arrays(part: Any) -> Iterator[dict[str, Any]]:
    """Every array type in a schema; an argument may be called `items` or `type`."""
    if isinstance(part, dict):
        if part.get("type") == "array":
            yield part
        for inner in part.values():
            yield from arrays(inner)
    if isinstance(part, list):
        for inner in part:
            yield from arrays(inner)


TUPLES: dict[str, Any] = {
    "of one type": tuple[float, float],
    "of two types": tuple[int, str],
    "of none": tuple[()],
    "of any length": tuple[int, ...],
    "bare": tuple,
    "named": Point,
    "in a list": list[tuple[str, str]],
    "in a map": dict[str, tuple[int, int]] | None,
    "in a tuple": tuple[tuple[int, int], str],
    "in a model": Node,
}


@pytest.mark.parametrize("hint", TUPLES.values(), ids=TUPLES)
def test_every_array_says_the_type_of_its_items_and_every_number_is_json(hint: Any) -> None:
    written = schema(hint)
    assert [one for one in arrays(written) if "items" not in one] == []
    json.dumps(written, allow_nan=False)


def test_a_tuple_keeps_its_length_and_its_order() -> None:
    found = schema(tuple[int, str])["properties"]["value"]
    assert found == {
        "type": "array",
        "minItems": 2,
        "maxItems": 2,
        "prefixItems": [{"type": "integer"}, {"type": "string"}],
        "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    }
    assert schema(tuple[float, float])["properties"]["value"]["items"] == {"type": "number"}


def test_what_json_cannot_say_is_left_out() -> None:
    assert schema(Annotated[float, Field(ge=0, le=float("inf"))])["properties"]["value"] == {
        "type": "number",
        "minimum": 0,
    }
    node = schema(Node)["$defs"]["Node"]["properties"]
    assert "default" not in node["weight"]
    assert node["corner"]["default"] == [0, ""]


@pytest.mark.parametrize("hint", [int, list[int], Literal["a"], dict[str, Any], Any, str | None], ids=str)
def test_a_type_that_all_took_is_written_as_before(hint: Any) -> None:
    def place(value: Any) -> None: ...

    place.__annotations__["value"] = hint
    assert schema(hint) == Arguments.of("place", place, "here").schema()


REFUSED = {
    "a letter that is not ASCII": "def größe_prüfen() -> str: ...",
    "a long name": f"def {'a' * 65}() -> str: ...",
    "an argument that is not ASCII": "def check(größe: int) -> str: ...",
    "a long argument": f"def check({'a' * 65}: int) -> str: ...",
    "a choice of none": "def check(which: Nothing) -> str: ...",
}


@pytest.mark.parametrize("line", REFUSED.values(), ids=REFUSED)
def test_what_every_run_would_fail_by_keeps_the_worker_from_starting(
    agent_folder: Callable[..., Path], line: str
) -> None:
    code = f"from enum import Enum\nfrom backstay.tools import tool\nclass Nothing(Enum): pass\n@tool\n{line}\n"
    folder = agent_folder(tools=code) / "clerk"
    with pytest.raises(ConfigurationError) as refused:
        load_agent(folder)
    assert (refused.value.where, bool(refused.value.mend)) == (f"{folder.resolve() / 'tools.py'}:4", True)


@pytest.mark.parametrize("name", ["a" * 64, "lookup_2", "_private"])
def test_a_name_that_all_take_is_taken(agent_folder: Callable[..., Path], name: str) -> None:
    code = f"from backstay.tools import tool\n@tool\ndef {name}(a_1: int) -> str: ...\n"
    assert list(load_agent(agent_folder(tools=code) / "clerk").tools) == [name]


LARGE = {
    "a long docstring": f'@tool\ndef look() -> str:\n    """{"x" * 1025}"""\n',
    "many tools": "\n".join(f"@tool\ndef look_{n}() -> str: ..." for n in range(129)),
}


@pytest.mark.parametrize("code", LARGE.values(), ids=LARGE)
@pytest.mark.parametrize(
    ("base_url", "refuses"),
    [
        (None, True),
        ("https://api.openai.com/v1", True),
        ("https://mine.openai.azure.com/openai/v1", True),
        ("http://127.0.0.1:8000/v1", False),
        ("https://openai.azure.com.example.com/v1", False),
    ],
)
def test_what_only_openai_refuses_is_refused_where_it_answers(
    agent_folder: Callable[..., Path], code: str, base_url: str | None, refuses: bool
) -> None:
    folder = agent_folder(tools=f"from backstay.tools import tool\n{code}") / "clerk"
    settings = Settings.model_validate({"openai_api_key": "none", "openai_base_url": base_url})
    agents = {"clerk": load_agent(folder)}
    if not refuses:
        Catalog(agents, settings, load_organisation([]))
        return
    with pytest.raises(ConfigurationError, match="OpenAI"):
        Catalog(agents, settings, load_organisation([]))
