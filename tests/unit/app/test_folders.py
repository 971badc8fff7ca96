"""The typed door: what a type checker sees is what a process loads."""

import ast
from pathlib import Path

import pytest

from backstay.app import folders

SOURCE = ast.parse(Path(folders.__file__).read_text())
SEEN = {
    alias.asname or alias.name: f"{node.module}.{alias.name}"
    for block in SOURCE.body
    if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
    for node in block.body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
}


def test_each_name_is_the_same_module_to_both() -> None:
    assert len(SEEN) > 10
    assert {name: getattr(folders, name).__name__ for name in SEEN} == SEEN


def test_nothing_is_loaded_that_no_type_checker_sees() -> None:
    (homes,) = [
        ast.literal_eval(node.value)
        for node in SOURCE.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_HOMES"
    ]
    assert homes == SEEN


def test_any_other_name_is_unknown() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        folders.nonsense  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] # noqa: B018
