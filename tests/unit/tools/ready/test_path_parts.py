"""Paths of a model: names below the workspace, or nothing."""

import pytest

from backstay.errors import ToolError
from backstay.tools.ready.path_parts import parts_of


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        (".", []),
        ("./", []),
        ("a", ["a"]),
        ("a//b/./c.txt", ["a", "b", "c.txt"]),
        ("...", ["..."]),
        ("%2e%2e/x", ["%2e%2e", "x"]),
        ("..\\x", ["..\\x"]),
        ("~/x", ["~", "x"]),
        ("\uff0e\uff0e/x", ["\uff0e\uff0e", "x"]),
    ],
)
def test_a_path_is_read_as_names_and_nothing_is_decoded(path: str, parts: list[str]) -> None:
    assert parts_of(path) == parts


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "//etc/passwd",
        "..",
        "../x",
        "a/../../x",
        "a/../b",
        "a/..",
        "nul\0",
        "a\nb",
        "a\u202eb",
        "a\ud800b",
        "x" * 256,
        "ä" * 128,
        "/".join("a" * 33),
        "a" * 200 + "/" + "/".join(["b" * 250] * 16),
        ".backstay-0123.part",
    ],
)
def test_a_path_that_may_lead_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(ToolError, match=r"^path_refused: "):
        parts_of(path)
