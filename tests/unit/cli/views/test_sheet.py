"""A name in a spreadsheet stays a name."""

import csv
import io

import pytest

from backstay.cli.views.sheet import sheet


def written(name: str | None) -> str:
    return sheet(("tenant", "runs"), [{"tenant": name, "runs": 3}])


@pytest.mark.parametrize("name", ["acme", "a,b", 'a "b"', "Zoë", "a;b", "a=1", "0.0132"])
def test_a_name_is_read_again_as_it_is(name: str) -> None:
    assert list(csv.DictReader(io.StringIO(written(name)))) == [{"tenant": name, "runs": "3"}]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", " =1+1", "\uff1d1+1", "\uff0b1", "\uff20A1"])
def test_a_name_that_begins_like_a_formula_is_a_text(name: str) -> None:
    [row] = csv.DictReader(io.StringIO(written(name)))
    assert row["tenant"] == f"'{name}"


@pytest.mark.parametrize("name", ['a;=HYPERLINK("http://evil")', "a;=1+1", "a\t=1", 'a";=1'])
def test_no_other_separator_begins_a_cell_within_a_name(name: str) -> None:
    for separator in ";\t":
        rows = list(csv.reader(io.StringIO(written(name)), delimiter=separator))
        assert [len(row) for row in rows] == [1, 1]
        assert not any(cell.startswith("=") for row in rows for cell in row)


def test_what_has_no_name_is_an_empty_cell() -> None:
    assert written(None) == '"tenant","runs"\n"",3\n'
