"""Why a budget stopped a run, in figures and with the setting to change."""

from dataclasses import replace

import pytest

from backstay.kernel.budget import Amount, Budget, Limits, ToolLimit
from backstay.kernel.events import Admitted, BudgetShort, CallHeld, DeadlinePassed, HistoryFull, WrapsUp
from backstay.kernel.run_state import RunState
from backstay.kernel.shortage import BudgetCard, asked_for, explained
from backstay.kernel.stop import Stop, StopReason, Thresholds
from backstay.kernel.stopping import next_stop

LIMITS = Limits(steps=20, seconds=900, tools={"pay": ToolLimit(calls=2, per_minute=1)})


def after(*events: object) -> RunState:
    state = RunState().after(Admitted("a", "1", "t", None, "m", LIMITS, Thresholds(), None, 100))
    for event in events:
        state = state.after(event)  # pyright: ignore[reportArgumentType]
    return state


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            BudgetShort("usd", None, 12_000, 4_000),
            "the next decision may cost up to 0.012, 0.004 is left: raise usd or lower max_output_tokens",
        ),
        (BudgetShort("usd", "pay", 50_000, -1), "the call of pay may cost up to 0.05, 0.00 is left: raise usd"),
        (
            BudgetShort("tokens", None, 900, 17),
            "the next decision may take up to 900 tokens, 17 are left: raise tokens or lower max_output_tokens",
        ),
        (BudgetShort("steps", None, 1, 0), "all 20 steps are used: raise steps"),
        (
            BudgetShort("steps", None, 3, 2),
            "the next decision needs up to 3 steps, 2 of 20 are left: raise steps",
        ),
        (BudgetShort("tool:pay", "pay", 1, 0), "all 2 calls of pay are used: raise tools.pay.calls"),
        (
            BudgetShort("tool:pay:per_minute", "pay", 1, 0),
            "pay may be called 1 times a minute: raise tools.pay.per_minute",
        ),
        (BudgetShort("usd"), None),
        (
            BudgetShort("run_closed", None, 0, 0),
            "its ledgers have settled what it held when it ended: start another run, a reset draws nothing",
        ),
        (
            BudgetShort("usd:tenant:day", None, 500_000, 100_000),
            "a hold of 0.50 does not fit: 0.10 USD are left to the tenant this day; "
            "raise it, wait, or give the run a smaller budget",
        ),
        (
            BudgetShort("exposure:refunds_usd:organisation:month", None, 50, -3),
            "a hold of 50 does not fit: 0 exposure:refunds_usd are left to the organisation this month; "
            "raise it, wait, or give the run a smaller budget",
        ),
        (
            BudgetShort("runs_at_once:agent", None, 1, 0),
            "as many runs of the agent in this tenant are open as may be together: wait until one ends, "
            "or raise runs_at_once",
        ),
        (DeadlinePassed(900), "all 900 seconds are used: raise seconds"),
        (HistoryFull(1, 2, 3), "Temporal keeps no longer history of one run: give the rest of the work to another run"),
    ],
)
def test_a_stop_by_a_budget_says_its_figures_and_what_to_raise(event: object, words: str | None) -> None:
    state = after(event)
    assert explained(state, next_stop(state)) == words


@pytest.mark.parametrize(
    "stop",
    [
        None,
        Stop(StopReason.COMPLETED),
        Stop(StopReason.BUDGET_EXHAUSTED),
        Stop(StopReason.BUDGET_EXHAUSTED, "usd"),
    ],
)
def test_other_ends_have_no_figures(stop: Stop | None) -> None:
    assert explained(after(), stop) is None


def test_a_run_that_has_begun_is_not_told_to_begin_with_less() -> None:
    state = replace(after(BudgetShort("usd:tenant:day", None, 500_000, 100_000)), drawn={"usd": 100_000})
    assert (explained(state, next_stop(state)) or "").endswith("left to the tenant this day; raise it or wait")


def test_the_first_hold_that_did_not_fit_is_the_one_explained() -> None:
    state = after(BudgetShort("tool:pay", "pay", 1, 0), BudgetShort("usd", None, 2, 1))
    assert explained(state, next_stop(state)) == "all 2 calls of pay are used: raise tools.pay.calls"


SHORT = BudgetShort("steps", None, 2, 1)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        (
            (SHORT,),
            "the next decision needs up to 2 steps, 1 of 20 are left: raise steps; it was too little for a last answer",
        ),
        (
            (SHORT, WrapsUp("steps")),
            "the next decision and a last answer needs up to 2 steps, 1 of 20 are left: raise steps",
        ),
    ],
    ids=["without one", "with one"],
)
def test_a_stop_says_whether_there_was_room_for_a_last_answer(events: tuple[object, ...], words: str) -> None:
    state = replace(after(*events), thresholds=Thresholds(wrap_up=True))
    assert explained(state, next_stop(state)) == words


def test_people_are_asked_in_figures_for_more() -> None:
    limits = Limits(usd=100_000, tools={"pay": ToolLimit(calls=2)})
    state = replace(after(), budget=Budget(limits, Amount(usd=90_000))).after(CallHeld("1-0", "pay", 0, 5_000))
    assert asked_for(state, BudgetShort("usd", None, 12_000, 5_000), Limits(usd=50_000)) == BudgetCard(
        {"dimension": "usd", "spent": "0.09", "held": "0.005", "limit": "0.10", "asked": "0.05"},
        "a further decision needs 0.012 of `usd`, 0.005 is left: a yes adds 0.05",
    )
    more = Limits(tools={"pay": ToolLimit(calls=1)})
    assert asked_for(state, BudgetShort("tool:pay", "pay", 2, 1), more) == BudgetCard(
        {"dimension": "tools.pay.calls", "spent": 0, "held": 1, "limit": 2, "asked": 1},
        "a call of pay needs 2 of `tools.pay.calls`, 1 is left: a yes adds 1",
    )
    assert asked_for(state, BudgetShort("tool:pay", "pay"), more).args["asked"] == 1
