"""The sums over many runs that a call is judged with and shown with."""

import pytest

from backstay.kernel.approval import Approval, ApprovalKind
from backstay.kernel.counted import counted_amounts, counted_by, limit_words, sums_before, sums_of, sums_with
from backstay.kernel.events import ApprovalOpened
from backstay.kernel.ledger import CLOSED
from backstay.kernel.ledger_period import Period
from backstay.kernel.ledger_sums import Excess
from backstay.kernel.meter import Exposed
from backstay.kernel.run_state import RunState

SUMS = {"refunds": {Period.DAY: 150, Period.MONTH: 950}}


def test_only_meters_that_ledgers_count_are_held_there() -> None:
    assert counted_amounts({"refunds": 5, "vouchers": 1}, ["refunds", "deleted"]) == {"exposure:refunds": 5}


def test_the_sums_of_a_ledger_are_told_in_the_periods_in_which_a_meter_is_counted() -> None:
    told = {"exposure:refunds": SUMS["refunds"], "exposure:deleted": SUMS["refunds"]}
    assert sums_of(told, {"refunds": [Period.DAY], "vouchers": [Period.DAY]}) == {"refunds": {Period.DAY: 150}}


def test_the_sums_before_a_call_are_those_with_it_less_its_amount() -> None:
    before = sums_before(SUMS, {"refunds": 50, "vouchers": 1})
    assert before == {"refunds": {Period.DAY: 100, Period.MONTH: 900}}
    assert sums_with(before, {"refunds": 50}) == SUMS


def test_people_are_shown_the_sums_beside_those_of_calls_that_wait_for_them_too() -> None:
    waits = Approval(
        "apr_1", ApprovalKind.EXPOSURE, "1-0", "pay", "d", (), counted={"refunds": {Period.DAY: Exposed(90, 7)}}
    )
    state = RunState(admitted=True).after(ApprovalOpened(waits))
    shown = counted_by(state, {**SUMS, "vouchers": {Period.DAY: 1}}, {"refunds": 50}, {"refunds": {Period.DAY: 120}})
    assert shown == {"refunds": {Period.DAY: Exposed(107, 50, 120), Period.MONTH: Exposed(900, 50)}}
    assert waits.agreed == {"refunds": {Period.DAY: 97}}


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (
            Excess("exposure:refunds_usd:tenant:day", 990_000, 500_000),
            "the call adds 99 to `refunds_usd`, and 50 is left to the tenant this day",
        ),
        (
            Excess("exposure:refunds_usd:organisation:month", 990_000, -1),
            "the call adds 99 to `refunds_usd`, and 0 is left to the organisation this month",
        ),
        (Excess(CLOSED, 0, 0), "its ledgers have settled what the run held when it ended: start another run"),
    ],
)
def test_a_limit_without_room_is_told_with_its_level_and_period(limit: Excess, words: str) -> None:
    assert limit_words(limit) == words
