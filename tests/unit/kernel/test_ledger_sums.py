"""Sums by account, quantity and period, and the limits on them."""

from backstay.kernel.ledger_period import Period
from backstay.kernel.ledger_sums import NOW, RUNS, Crossing, Excess, Limit, Sum, Sums, meter_of, quantity_of

KEYS = {Period.DAY: "2026-11-30", Period.MONTH: "2026-11"}
DAY = Limit("tenant", "usd", Period.DAY, 100)
MONTH = Limit("tenant", "usd", Period.MONTH, 1_000)
AT_ONCE = Limit("tenant", RUNS, None, 2)
EMPTY = Sums({})


def holding(**amounts: int) -> Sums:
    return EMPTY.moved(["tenant", "agent:clerk"], KEYS, {}, amounts)


def test_what_is_held_counts_in_every_account_and_period() -> None:
    sums = holding(usd=40)
    assert {sums.at(account, "usd", key).held for account in ("tenant", "agent:clerk") for key in KEYS.values()} == {40}


def test_runs_at_once_have_no_period_and_are_never_spent() -> None:
    sums = holding(runs=1).moved(["tenant"], KEYS, {RUNS: 1}, {RUNS: -1})
    assert sums.at("tenant", RUNS, NOW) == Sum()
    assert sums.at("tenant", RUNS, "2026-11-30") == Sum()


def test_a_limit_has_room_up_to_its_last_micro_dollar() -> None:
    sums = holding(usd=40)
    assert sums.excess([DAY], {"usd": 60}, KEYS) is None
    assert sums.excess([DAY], {"usd": 61}, KEYS) == Excess("usd:tenant:day", 61, 60)


def test_of_several_limits_without_room_the_one_with_the_least_left_is_named() -> None:
    tighter = Limit("agent:clerk", "usd", Period.MONTH, 50)
    assert holding(usd=40).excess([MONTH, DAY, tighter], {"usd": 70}, KEYS) == Excess("usd:agent:month", 70, 10)


def test_a_quantity_that_is_not_asked_for_is_not_refused() -> None:
    overspent = EMPTY.moved(["tenant"], KEYS, {"usd": 500}, {})
    assert overspent.excess([DAY], {"tokens": 1}, KEYS) is None
    assert overspent.excess([DAY], {"usd": 0}, KEYS) == Excess("usd:tenant:day", 0, -400)


def test_the_limit_of_runs_at_once_is_named_without_a_period() -> None:
    assert holding(runs=2).excess([AT_ONCE], {RUNS: 1}, KEYS) == Excess("runs_at_once:tenant", 1, 0)


def test_a_limit_is_crossed_from_its_share_on() -> None:
    assert holding(usd=79).crossings([DAY], {"usd": 79}, KEYS) == ()
    crossed = Crossing("usd:tenant:day", "tenant", "2026-11-30", 80, 80, 100)
    assert holding(usd=80).crossings([DAY, MONTH], {"usd": 80}, KEYS) == (crossed,)
    assert holding(usd=80).crossings([DAY], {"tokens": 1}, KEYS) == ()


def test_of_runs_at_once_the_day_is_remembered() -> None:
    (crossed,) = holding(runs=2).crossings([AT_ONCE], {RUNS: 1}, KEYS)
    assert (crossed.key, crossed.mark) == ("2026-11-30", "runs_at_once:tenant tenant 2026-11-30 80")


def test_past_periods_are_forgotten_unless_something_is_held_in_them() -> None:
    spent = EMPTY.moved(["tenant"], KEYS, {"usd": 5, "tokens": 9}, {"usd": 1})
    without = spent.without(["2026-11-30"])
    assert without.at("tenant", "usd", "2026-11-30") == Sum(5, 1)
    assert without.at("tenant", "tokens", "2026-11-30") == Sum()
    assert without.at("tenant", "tokens", "2026-11") == Sum(9, 0)


REFUNDS = quantity_of("refunds")
ASKED = Limit("tenant", REFUNDS, Period.DAY, 100, group="finance")
FINAL = Limit("tenant", REFUNDS, Period.DAY, 120)


def refunding(amount: int, *limits: Limit, agreed: int = 0) -> Excess | None:
    """Asks for an amount where 90 are held."""
    held = EMPTY.moved(["tenant"], KEYS, {}, {REFUNDS: 90})
    return held.excess(limits, {REFUNDS: amount}, KEYS, {REFUNDS: {Period.DAY: agreed}} if agreed else None)


def test_a_quantity_of_a_meter_has_its_name() -> None:
    assert (meter_of(REFUNDS), meter_of("usd")) == ("refunds", None)


def test_a_group_may_let_a_hold_above_a_limit_unless_another_limit_lets_nobody() -> None:
    assert refunding(20, ASKED, FINAL) == Excess("exposure:refunds:tenant:day", 20, 10, ("finance",))
    assert refunding(31, ASKED, FINAL) == Excess("exposure:refunds:tenant:day", 31, 30)
    board = Limit("tenant", REFUNDS, Period.MONTH, 95, group="board")
    assert refunding(20, ASKED, board) == Excess("exposure:refunds:tenant:month", 20, 5, ("finance", "board"))


def test_a_yes_lets_a_hold_up_to_the_sum_that_people_saw() -> None:
    assert refunding(20, ASKED, agreed=110) is None
    assert refunding(21, ASKED, agreed=110) == Excess("exposure:refunds:tenant:day", 21, 10, ("finance",))
    assert refunding(5, ASKED, agreed=1) is None
    assert refunding(31, FINAL, agreed=200) == Excess("exposure:refunds:tenant:day", 31, 30)


def test_a_zero_amount_of_a_meter_exceeds_no_limit() -> None:
    assert refunding(0, Limit("tenant", REFUNDS, Period.DAY, 1)) is None


def test_the_sums_of_meters_are_told_and_of_nothing_else() -> None:
    sums = EMPTY.moved(["tenant"], KEYS, {REFUNDS: 5, "usd": 9}, {REFUNDS: 2})
    assert sums.counts("tenant", [REFUNDS, "usd"], KEYS) == {REFUNDS: {Period.DAY: 7, Period.MONTH: 7}}
