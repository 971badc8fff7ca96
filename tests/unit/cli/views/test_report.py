"""How a budget stands, as people read it."""

from io import StringIO

from rich.console import Console

from backstay.cli.views.report import budget_table, spent_line
from backstay.contracts.budget import LimitsInForce, Spent
from backstay.kernel.budget import Amount


def test_meters_are_shown_with_and_without_a_limit() -> None:
    spent = Spent.of(Amount(exposure={"refunds_usd": 995_000}), 0)
    held = Spent.of(Amount(exposure={"vouchers": 10_000}), 0)
    console = Console(file=StringIO(), width=100)
    with console.capture() as shown:
        budget = LimitsInForce(exposure={"refunds_usd": "500", "vouchers": None})
        console.print(budget_table(budget, spent, held, {"refunds_usd": {"run": "99.5", "month": "4950"}}))
    rows = [line.split() for line in shown.get().splitlines()]
    assert rows[1][:5] == ["refunds_usd", "99.5", "0", "400.5", "500"]
    assert rows[2] == ["vouchers", "0", "1", "-", "-"]
    assert rows[3] == ["refunds_usd,", "tenant", "this", "month", "4,950", "-", "-", "-"]


def test_what_was_spent_ends_with_what_it_meant() -> None:
    line = spent_line(Spent.of(Amount(exposure={"refunds_usd": 995_000}), 0), LimitsInForce())
    assert line.endswith(" · 99.5 refunds_usd")
