"""Registers of known values: lists in TOML, or files beside it."""

from pathlib import Path

import pytest

from backstay.adapters.agent.registers import load_registers
from backstay.errors import ConfigurationError
from backstay.kernel.tokens import tokens


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    file = tmp_path / "org.toml"
    file.write_text('[registers]\nstaff = ["@acme.com"]\npayees = "payees.csv"\n')
    return file


def test_a_list_and_the_cells_and_the_lines_of_files_are_values(toml: Path) -> None:
    (toml.parent / "payees.csv").write_text('# name, account\n"Parcels, Ltd",DE89370400440532013000\n\nAnn,\n')
    (toml.parent / "ids.txt").write_text("# ids\nA-17, B\n\n")
    table: dict[str, str | list[str]] = {"staff": ["@acme.com"], "payees": "payees.csv", "ids": "ids.txt"}
    staff, payees, ids = load_registers(table, toml, org=True)
    assert (staff.name, staff.org, staff.has(tuple(tokens("ann@acme.com")))) == ("staff", True, True)
    assert [payees.has(tuple(tokens(text))) for text in ("Parcels, Ltd", "DE89370400440532013000", "Ann", "name")] == [
        True,
        True,
        True,
        False,
    ]
    assert (ids.has(tuple(tokens("A-17, B"))), ids.has(tuple(tokens("B")))) == (True, False)


def test_a_file_that_is_not_there_is_named(toml: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        load_registers({"payees": "payees.csv"}, toml)
    assert caught.value.where == str(toml.parent / "payees.csv")


def test_a_value_that_could_mislead_is_named_by_its_line_or_its_file(toml: Path) -> None:
    with pytest.raises(ConfigurationError, match="`staff`") as caught:
        load_registers({"staff": ["a\u200bb"]}, toml)
    assert caught.value.where == f"{toml}:2"
    (toml.parent / "payees.csv").write_text("a*\n")
    with pytest.raises(ConfigurationError, match="`payees`") as caught:
        load_registers({"payees": "payees.csv"}, toml)
    assert caught.value.where == str(toml.parent / "payees.csv")
