"""A list is readable at any width: a table where it fits, else a block for each row."""

import io

import pytest
from rich.console import Console

from backstay.cli.views.columns import Columns

RUN = "clerk-0123456789ab-and-a-long-name"


def printed(width: int) -> list[str]:
    columns = Columns(("run", "state", "reason", "usd"), ("usd",))
    columns.add(RUN, "terminated", "", "$0.01")
    columns.add("b", "waiting_approval", "", "$12.00")
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(columns)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_a_table_that_fits_is_a_table_without_its_empty_columns() -> None:
    assert printed(90) == [
        "run                                 state                usd",
        f"{RUN}  terminated         $0.01",
        "b                                   waiting_approval  $12.00",
    ]


@pytest.mark.parametrize("width", [60, 40])
def test_where_it_does_not_fit_each_row_is_a_block(width: int) -> None:
    assert printed(59 if width == 60 else width) == [
        RUN,
        "  state terminated · usd $0.01",
        "b",
        "  state waiting_approval · usd $12.00",
    ]


def test_a_wide_terminal_folds_rather_than_gives_up_its_columns() -> None:
    columns = Columns(("run", "text"))
    columns.add("a", "x" * 200)
    out = io.StringIO()
    Console(file=out, width=120).print(columns)
    assert len(out.getvalue().splitlines()) == 3
