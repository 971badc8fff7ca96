"""How a budget stands, as people read it."""

from io import StringIO

from rich.console import Console, RenderableType

from backstay.cli.views.report import budget_table, result_table, spent_line
from backstay.contracts.budget import LimitsInForce, Spent
from backstay.contracts.run import AuditSummary, RunResult
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


def printed(width: int, shown: RenderableType) -> list[str]:
    console = Console(file=StringIO(), width=width)
    with console.capture() as captured:
        console.print(shown)
    return [line.rstrip() for line in captured.get().splitlines()]


def test_a_bar_shows_what_is_spent_and_what_is_held() -> None:
    spent, held = (Spent.of(Amount(steps=steps), 0) for steps in (2, 1))
    [_, steps] = printed(100, budget_table(LimitsInForce(steps=4), spent, held))
    assert steps.split()[-1] == "█" * 10 + "▒" * 5 + "░" * 5


def test_on_60_columns_no_figure_of_a_budget_is_cut() -> None:
    limits = LimitsInForce(steps=20, model_calls=200_000, tool_calls=40, tokens=200_000, usd="0.50", seconds=900)
    used = Spent.of(Amount(steps=2, usd=13_245), 0)
    rows = [line.split() for line in printed(60, budget_table(limits, used, used))]
    assert rows == [
        ["budget", "spent", "held", "left", "limit"],
        ["steps", "2", "2", "16", "20"],
        ["model_calls", "0", "0", "200,000", "200,000"],
        ["tool_calls", "0", "0", "40", "40"],
        ["tokens", "0", "0", "200,000", "200,000"],
        ["usd", "$0.013245", "$0.013245", "$0.473510", "$0.50"],
        ["seconds", "0", "0", "900", "900"],
    ]


def test_a_run_that_its_budget_ended_says_why_in_figures() -> None:
    why = "the next decision may cost up to 0.012, 0.004 is left: raise usd or lower max_output_tokens"
    ended = RunResult(
        run_id="r1",
        agent="clerk",
        agent_version="sha256:1",
        tenant="default",
        status="stopped",
        stop_reason="budget_exhausted",
        stop_detail="usd",
        stop_explained=why,
        answer=None,
        steps=1,
        spent=Spent.of(Amount(steps=1), 0),
        budget=LimitsInForce(usd="0.10"),
        in_flight=[],
        policy_version="sha256:2",
        audit=AuditSummary(records=1, head="sha256:3"),
    )
    lines = printed(200, result_table(ended, None))
    assert lines[:2] == ["status   stopped · budget_exhausted (usd)", f"why      {why}"]
