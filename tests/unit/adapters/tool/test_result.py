"""What the model reads of a tool's result."""

import dataclasses
from collections import OrderedDict, deque
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from backstay.adapters.tool.result import result_text

NAME = b"caf\xe9.txt".decode("utf-8", "surrogateescape")


@dataclasses.dataclass
class File:
    name: str
    body: bytes = b""


class Folder(BaseModel):
    files: list[File] = Field(alias="in", default_factory=list[File])
    raw: bytes = b""


class Kind(Enum):
    ODD = "odd"


@pytest.mark.parametrize("result", ["", " ", "\n\t"])
def test_an_empty_text_says_that_there_was_no_output(result: str) -> None:
    assert result_text(result) == "(no output)"


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (" x ", " x "),
        (None, "null"),
        ([], "[]"),
        ({"a": 1.5, "b": float("nan")}, '{"a":1.5,"b":"NaN"}'),
        (["report.txt", NAME], '["report.txt","caf?.txt"]'),
        ({NAME: [NAME]}, '{"caf?.txt":["caf?.txt"]}'),
        ({"a": b"ok", "b": [b"\xff\xfe"]}, '{"a":"ok","b":["\ufffd\ufffd"]}'),
        (b"\xff", '"\ufffd"'),
        ({b"\xff": bytearray(b"a\xff")}, '{"\ufffd":"a\ufffd"}'),
        ((1, {2: (NAME,)}), '[1,{"2":["caf?.txt"]}]'),
        (File(NAME, b"\xff"), '{"name":"caf?.txt","body":"\ufffd"}'),
        ({"deep": [File("a", b"\xff")]}, '{"deep":[{"name":"a","body":"\ufffd"}]}'),
        (Folder(**{"in": [File(NAME)]}, raw=b"\xff"), '{"in":[{"name":"caf?.txt","body":""}],"raw":"\ufffd"}'),
        (
            {"kind": Kind.ODD, "path": Path("/a", NAME), "name": NAME},
            '{"kind":"odd","path":"/a/caf?.txt","name":"caf?.txt"}',
        ),
        (deque([NAME]), '["caf?.txt"]'),
        (OrderedDict(a=frozenset([b"\xff"])), '{"a":["\ufffd"]}'),
    ],
    ids=repr,
)
def test_what_utf8_cannot_hold_is_replaced_at_any_depth(result: Any, text: str) -> None:
    assert result_text(result) == text


def test_what_a_generator_yields_is_read_once_and_whole() -> None:
    def names() -> Iterator[str]:
        yield from ("a", NAME)

    assert result_text(names()) == '["a","caf?.txt"]'


@pytest.mark.parametrize(
    "result", [object(), [object(), NAME], {"a": b"\xff", "b": object()}], ids=["alone", "listed", "named"]
)
def test_what_json_cannot_hold_is_named(result: object) -> None:
    assert result_text(result) == (
        f"(the call was executed; its result, a {type(result).__name__}, cannot be written as JSON)"
    )
