"""Who did what is readable at any width."""

import io

from rich.console import Console

from backstay.cli.views.columns import Columns
from backstay.cli.views.people import people_table, refused_table
from backstay.contracts.deeds import Deed, RefusedMessage

AT = "2026-03-03T10:00:00+00:00"


def printed(table: Columns, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_on_60_columns_who_did_what_is_a_block_for_each() -> None:
    deeds = [Deed(at=AT, by="alice@example.com", did="approve", tool="issue_refund", comment="as agreed on the phone")]
    first, *rest = printed(people_table(deeds), 60)
    assert first.startswith("2026-03-03 ")
    assert rest == ["  who alice@example.com · did approve issue_refund · comment", "  as agreed on the phone"]


def test_on_60_columns_a_refused_message_is_a_block() -> None:
    refused = [RefusedMessage(at=AT, message="approve", by=None, code="bad_message", instead='{"approval_id", "by"}')]
    _, *rest = printed(refused_table(refused), 40)
    assert rest == ["  refused approve · from - · why", '  bad_message · instead {"approval_id",', '  "by"}']


def test_nothing_is_no_table() -> None:
    assert not people_table([])
