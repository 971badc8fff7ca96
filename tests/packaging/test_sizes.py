"""What the page on production says of each installation is what its packages are and weigh."""

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how-to" / "run-in-production.md").read_text("utf-8")
ROW = re.compile(r"^\| `pip install '?backstay(?:\[(\w+)\])?'?` \|.*\| (\d+) \| (\d+) MB \|$", re.MULTILINE)
SAID = {extra: (int(packages), int(megabytes)) for extra, packages, megabytes in ROW.findall(PAGE)}


def wanted(extra: str) -> list[Requirement]:
    """What the project asks for, with an extra or without one, and what that extra includes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = list(project["dependencies"])
    extras = [extra] if extra else []
    for one in extras:
        lines += project["optional-dependencies"][one]
        extras += [name for line in lines for name in re.findall(r"^backstay\[(\w+)\]", line) if name not in extras]
    return [Requirement(line) for line in lines if not line.startswith("backstay[")]


def installed(extra: str) -> frozenset[str]:
    """The names of all packages of an installation, those that packages need included."""
    found: set[str] = set()
    left = [(one.name, frozenset(one.extras)) for one in wanted(extra) if one.marker is None or one.marker.evaluate()]
    seen = set(left)
    while left:
        name, extras = left.pop()
        found.add(re.sub(r"[-_.]+", "-", name.lower()))
        for line in distribution(name).requires or []:
            need = Requirement(line)
            asked = need.marker is None or any(need.marker.evaluate({"extra": one}) for one in {"", *extras})
            if asked and (one := (need.name, frozenset(need.extras))) not in seen:
                seen.add(one)
                left.append(one)
    return frozenset(found)


def megabytes(packages: frozenset[str]) -> float:
    """The size of the files of packages, bytecode left out that an installer may write."""
    files = [Path(str(file.locate())) for name in packages for file in distribution(name).files or []]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1_000_000


def test_the_page_speaks_of_the_package_alone_and_of_each_part() -> None:
    assert list(SAID) == ["", "worker", "dev"]


@pytest.mark.parametrize("extra", ["", "worker", "dev"])
def test_an_installation_is_as_large_as_the_page_says(extra: str) -> None:
    packages, size = SAID[extra]
    found = installed(extra)
    assert len(found) == packages, sorted(found)
    assert 0.6 * size < megabytes(found) < 1.1 * size
