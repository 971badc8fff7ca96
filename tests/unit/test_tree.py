"""The tests mirror the tree: whoever knows a module knows where its tests are."""

from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parents[1]
ROOMS = (ROOT / "backstay", ROOT)

ABOUT_NO_MODULE = {"test_allowed_imports.py", "test_exported_names.py", "test_imports.py", "test_tree.py"}
"""About many modules at once."""

COVERED = ("activities", "backstay/contracts", "backstay/kernel")
"""Folders of which every module has tests of its own."""


def misplaced() -> set[str]:
    """The test files whose path names no module."""
    files = {file.relative_to(TESTS) for file in TESTS.rglob("test_*.py")}
    modules = {file: file.with_name(file.name.removeprefix("test_")) for file in files}
    return {file.as_posix() for file in files if not any((room / modules[file]).is_file() for room in ROOMS)}


def test_every_file_of_unit_tests_stands_where_its_module_does() -> None:
    assert misplaced() == ABOUT_NO_MODULE


def test_every_module_of_the_core_has_tests_of_its_own() -> None:
    missing = [
        module.relative_to(ROOT).as_posix()
        for folder in COVERED
        for module in (ROOT / folder).glob("*.py")
        if module.stem != "__init__" and not (TESTS / Path(folder).name / f"test_{module.name}").is_file()
    ]
    assert missing == []
