"""The hold that a decision or a call asks for, and the bill that replaces it."""

from dataclasses import replace

import pytest

from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind
from backstay.kernel.budget import Amount, Budget, Limits, ToolLimit
from backstay.kernel.events import (
    BudgetShort,
    CallHeld,
    Concluding,
    DecisionHeld,
    DecisionSettled,
    Drawn,
    Event,
    ExposureExceeded,
)
from backstay.kernel.keys import LAST_ANSWER
from backstay.kernel.meter import Bound, Excess, Exposed
from backstay.kernel.plan import (
    LAST_NEWS_TOKENS,
    LAST_OUTPUT_TOKENS,
    USEFUL_OUTPUT_TOKENS,
    exposed_by,
    open_call,
    open_decision,
    open_last_answer,
    settle_decision,
)
from backstay.kernel.price import Lost, Price, Tier, Usage
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Thresholds

# One micro-dollar a token of input, two a token of output.
PRICE = Price((Tier(0, 1_000_000, 100_000, 2_000_000),))
TIERED = Price((Tier(0, 1_000_000, 100_000, 2_000_000), Tier(100, 3_000_000, 100_000, 1_000_000)))
FREE = Price((Tier(0, 0, 0, 0),))
FREE_OUTPUT = Price((Tier(0, 1_000_000, 0, 0),))


def short_of(held: Event) -> str:
    """The dimension in which a hold did not fit, where its figures say so too."""
    assert isinstance(held, BudgetShort)
    assert held.needed is not None
    assert held.left is not None
    assert held.needed > held.left
    return held.dimension


def a_state(limits: Limits | None = None, price: Price | None = PRICE, most: int = 1_000, context: int = 0) -> RunState:
    return RunState(
        admitted=True,
        budget=Budget(limits or Limits()),
        price=price,
        max_output_tokens=most,
        context_tokens=context,
        step=4,
    )


@pytest.mark.parametrize(
    ("limits", "attempts", "output"),
    [
        (Limits(), 3, 1_000),
        (Limits(usd=6_300), 3, 1_000),
        (Limits(usd=6_299), 2, 1_000),
        (Limits(usd=4_200), 2, 1_000),
        (Limits(usd=4_199), 1, 1_000),
        (Limits(usd=2_100), 1, 1_000),
        (Limits(usd=2_099), 1, 999),
        (Limits(usd=100 + 2 * USEFUL_OUTPUT_TOKENS), 1, USEFUL_OUTPUT_TOKENS),
        (Limits(tokens=3_300), 3, 1_000),
        (Limits(tokens=3_299), 2, 1_000),
        (Limits(tokens=1_099), 1, 999),
        (Limits(tokens=100 + USEFUL_OUTPUT_TOKENS), 1, USEFUL_OUTPUT_TOKENS),
        (Limits(tokens=700, usd=1_000), 1, 450),
        (Limits(tokens=500, usd=1_000), 1, 400),
        (Limits(model_calls=2), 2, 1_000),
        (Limits(model_calls=1), 1, 1_000),
    ],
)
def test_attempts_shrink_before_the_output_does(limits: Limits, attempts: int, output: int) -> None:
    held = open_decision(a_state(limits, context=60), added_bytes=40)
    assert isinstance(held, DecisionHeld)
    assert (held.step, held.attempts, held.input_tokens, held.max_output_tokens) == (5, attempts, 100, output)
    usd = attempts * (100 + 2 * output)
    assert held.amount == Amount(1, attempts, 0, attempts * 100, attempts * output, usd)


@pytest.mark.parametrize(
    ("limits", "dimension"),
    [
        (Limits(steps=0), "steps"),
        (Limits(model_calls=0), "model_calls"),
        (Limits(tokens=100 + USEFUL_OUTPUT_TOKENS - 1), "tokens"),
        (Limits(usd=100 + 2 * USEFUL_OUTPUT_TOKENS - 1), "usd"),
        (Limits(tokens=10), "tokens"),
        (Limits(usd=0), "usd"),
        (Limits(tokens=10, usd=0), "tokens"),
    ],
)
def test_a_decision_that_could_not_say_anything_useful_is_not_asked_for(limits: Limits, dimension: str) -> None:
    assert short_of(open_decision(a_state(limits), added_bytes=100)) == dimension


def test_a_model_of_few_words_may_be_asked_for_less() -> None:
    held = open_decision(a_state(Limits(usd=110), most=5), added_bytes=100)
    assert isinstance(held, DecisionHeld)
    assert (held.attempts, held.max_output_tokens) == (1, 5)
    assert short_of(open_decision(a_state(Limits(usd=109), most=5), added_bytes=100)) == "usd"


@pytest.mark.parametrize(
    ("price", "usd"),
    [
        (None, 0),  # where nobody knows the price, no limit of money is admitted
        (FREE, 0),
        (FREE_OUTPUT, 303),
        (PRICE, 3 * 2_101),
        (TIERED, 3 * (303 + 2_000)),  # the dear input of one tier, the dear output of the other
    ],
)
def test_the_worst_case_is_held_at_the_models_price(price: Price | None, usd: int) -> None:
    held = open_decision(a_state(price=price), added_bytes=101)
    assert isinstance(held, DecisionHeld)
    assert held.amount.usd == usd


@pytest.mark.parametrize("price", [None, FREE])
def test_what_costs_nothing_is_not_stopped_by_money(price: Price | None) -> None:
    held = open_decision(a_state(Limits(usd=0), price), added_bytes=100)
    assert isinstance(held, DecisionHeld)
    assert (held.attempts, held.max_output_tokens) == (3, 1_000)


def test_free_output_is_not_capped_by_money_but_its_input_is_paid() -> None:
    held = open_decision(a_state(Limits(usd=100, tokens=600), FREE_OUTPUT), added_bytes=100)
    assert isinstance(held, DecisionHeld)
    assert (held.attempts, held.max_output_tokens) == (1, 500)
    assert short_of(open_decision(a_state(Limits(usd=99), FREE_OUTPUT), added_bytes=100)) == "usd"


@pytest.mark.parametrize(
    ("limits", "attempts", "output"),
    [
        (Limits(), 3, 1_000),
        # This decision, and a last answer of 64 tokens after 1,100 that were said.
        (Limits(tokens=3 * 1_100 + 1_164), 3, 1_000),
        (Limits(tokens=3 * 1_100 + 1_163), 2, 1_000),
        (Limits(tokens=1_100 + 1_164), 1, 1_000),
        (Limits(tokens=1_100 + 1_163), 1, 999),
        (Limits(tokens=164 + 1_164), 1, 64),
        (Limits(usd=2_100 + 1_228), 1, 1_000),
        (Limits(usd=2_100 + 1_227), 1, 999),
        (Limits(steps=2), 3, 1_000),
        (Limits(model_calls=3), 2, 1_000),
    ],
)
def test_a_last_answer_is_held_back_beside_a_decision(limits: Limits, attempts: int, output: int) -> None:
    state = replace(a_state(limits), thresholds=Thresholds(conclude_at=80))
    held = open_decision(state, added_bytes=100)
    assert isinstance(held, DecisionHeld)
    assert (held.attempts, held.max_output_tokens) == (attempts, output)


@pytest.mark.parametrize(
    ("limits", "dimension"),
    [
        (Limits(tokens=164 + 1_163), "tokens"),
        (Limits(usd=228 + 1_227), "usd"),
        (Limits(steps=1), "steps"),
        (Limits(model_calls=1), "model_calls"),
    ],
)
def test_an_agent_is_told_to_conclude_where_only_its_last_answer_fits(limits: Limits, dimension: str) -> None:
    state = replace(a_state(limits), thresholds=Thresholds(conclude_at=80))
    concluding = open_decision(state, added_bytes=100)
    assert concluding == Concluding(dimension)
    assert isinstance(open_decision(state.after(concluding), added_bytes=100), DecisionHeld)


@pytest.mark.parametrize(("spent", "told"), [(0, False), (7_999, False), (8_000, True), (10_000, True)])
def test_an_agent_is_told_to_conclude_at_a_share_of_its_budget(spent: int, told: bool) -> None:
    budget = Budget(Limits(usd=10_000, tool_calls=0), Amount(usd=spent))
    state = replace(a_state(price=None), budget=budget, thresholds=Thresholds(conclude_at=80))
    assert (open_decision(state, added_bytes=100) == Concluding("usd")) == told


WRAPS = Thresholds(conclude_at=80, wrap_up=True)
LAST = Amount(1, 1, 0, 100 + 1_000 + LAST_NEWS_TOKENS, LAST_OUTPUT_TOKENS, 2_124 + 2 * LAST_OUTPUT_TOKENS)


@pytest.mark.parametrize(
    ("limits", "last"),
    [
        (Limits(), LAST),
        (Limits(steps=3, model_calls=3), LAST),
        (Limits(steps=2), None),
        (Limits(model_calls=2), None),
        (Limits(tokens=1_100 + LAST.tokens), LAST),
        (Limits(tokens=1_100 + LAST.tokens - 1), None),
        (Limits(tokens=100 + USEFUL_OUTPUT_TOKENS), None),
        (Limits(usd=2_100 + LAST.usd), LAST),
        (Limits(usd=2_100 + LAST.usd - 1), None),
    ],
)
def test_a_last_answer_is_held_back_where_the_first_decision_is_not_cut_for_it(
    limits: Limits, last: Amount | None
) -> None:
    state = replace(a_state(limits), thresholds=WRAPS, step=0)
    held = open_decision(state, added_bytes=100)
    assert isinstance(held, DecisionHeld)
    assert held.last_answer == last
    after = state.after(held)
    assert after.budget.holds.get(LAST_ANSWER) == last
    assert after.shortfall is None


def test_a_budget_without_room_for_one_decision_is_short_as_ever() -> None:
    state = replace(a_state(Limits(tokens=50)), thresholds=WRAPS, step=0)
    assert short_of(open_decision(state, added_bytes=100)) == "tokens"


def test_a_decision_leaves_what_is_held_back_and_the_last_answer_takes_it() -> None:
    state = replace(a_state(Limits(steps=3)), thresholds=WRAPS, step=0)
    for _ in range(2):
        held = open_decision(state, added_bytes=0)
        assert isinstance(held, DecisionHeld)
        state = state.after(held).after(settle_decision(state.after(held), Usage(10, 10), Lost(0), replied=True))
    short = open_decision(replace(state, concluding=True), added_bytes=0)
    assert short_of(short) == "steps"
    last = open_last_answer(state, added_bytes=0)
    assert last is not None
    assert (last.step, last.last_answer) == (3, None)
    assert LAST_ANSWER not in state.after(last).budget.holds
    assert open_last_answer(state.after(last), added_bytes=0) is None


def test_a_last_answer_takes_no_more_than_ledgers_hold_for_the_run() -> None:
    state = replace(a_state(Limits(usd=100_000)), thresholds=WRAPS, step=0)
    first = open_decision(state, added_bytes=0)
    assert isinstance(first, DecisionHeld)
    assert first.last_answer is not None
    drawn = first.amount.usd + first.last_answer.usd
    state = state.after(Drawn("reserve-0", {"usd": drawn, "tokens": 50_000}, {})).after(first)
    state = state.after(settle_decision(state, Usage(10, 10), Lost(first.attempts - 1), replied=True))
    last = open_last_answer(state, added_bytes=1_000)
    assert last is not None
    assert first.last_answer.usd <= last.amount.usd <= drawn - state.budget.spent.usd
    assert last.attempts < (open_last_answer(replace(state, drawn=None), 1_000) or first).attempts


def test_an_agent_that_wraps_up_is_told_to_conclude_at_a_share_of_its_budget() -> None:
    state = replace(a_state(price=None), budget=Budget(Limits(usd=10), Amount(usd=8)), thresholds=WRAPS)
    assert open_decision(state, added_bytes=0) == Concluding("usd")
    assert isinstance(open_decision(state.after(Concluding("usd")), added_bytes=0), DecisionHeld)


HELD = DecisionHeld(5, 2, 100, 50, Amount(1, 2, 0, 200, 100, 400))
EACH = Amount(model_calls=1, input_tokens=100, output_tokens=50, usd=200)


@pytest.mark.parametrize(
    ("usage", "lost", "replied", "amount", "unbilled", "context"),
    [
        (Usage(90, 30), 0, True, Amount(1, 1, 0, 90, 30, 150), 0, 120),
        (Usage(90, 30, 90), 0, True, Amount(1, 1, 0, 90, 30, 69), 0, 120),
        (Usage(90, 30), 1, True, Amount(1, 2, 0, 190, 80, 350), 200, 120),
        (None, 0, True, Amount(1, 1, 0, 100, 50, 200), 200, 150),
        (None, 1, True, Amount(1, 2, 0, 200, 100, 400), 400, 150),
        (None, 0, False, Amount(steps=1), 0, 100),
        (None, 1, False, Amount(1, 1, 0, 100, 50, 200), 200, 100),
        (None, 2, False, Amount(1, 2, 0, 200, 100, 400), 400, 100),
        (None, 9, False, Amount(1, 2, 0, 200, 100, 400), 400, 100),
        (None, 9, True, Amount(1, 2, 0, 200, 100, 400), 400, 150),
    ],
)
def test_what_was_not_billed_is_settled_at_its_hold(
    usage: Usage | None, lost: int, replied: bool, amount: Amount, unbilled: int, context: int
) -> None:
    settled = settle_decision(a_state().after(HELD), usage, Lost(lost), replied)
    assert settled == DecisionSettled(5, amount, unbilled, lost, context)


@pytest.mark.parametrize(
    ("bills", "amount"),
    [
        ((Usage(90, 30),), Amount(1, 1, 0, 100, 50, 200)),
        ((Usage(90, 30, usd=700),), Amount(1, 1, 0, 100, 50, 700)),
        ((Usage(1_000, 30),), Amount(1, 1, 0, 1_000, 50, 1_060)),
        ((Usage(90, 9_000), Usage(90, 30)), Amount(1, 1, 0, 100, 9_000, 18_090)),
    ],
)
def test_a_lost_attempt_counts_at_its_bill_where_that_is_more_than_its_hold(
    bills: tuple[Usage, ...], amount: Amount
) -> None:
    settled = settle_decision(a_state().after(HELD), None, Lost(1, bills), replied=False)
    assert (settled.amount, settled.usd_unbilled) == (amount, 200)


def test_a_bill_without_a_price_is_counted_in_tokens() -> None:
    settled = settle_decision(a_state(price=None).after(HELD), Usage(90, 30), Lost(1), replied=True)
    assert settled.amount == Amount(1, 2, 0, 190, 80, 0)


def test_settling_where_no_decision_is_open_bills_nothing_and_changes_nothing() -> None:
    state = a_state(context=60)
    settled = settle_decision(state, Usage(90, 30), Lost(1), replied=True)
    assert settled == DecisionSettled(4, Amount(), 0, 0, 60)
    assert state.after(settled) == state


@pytest.mark.parametrize(
    ("limits", "dimension"),
    [
        (Limits(), None),
        (Limits(tool_calls=0), "tool_calls"),
        (Limits(usd=6), "usd"),
        (Limits(usd=7), None),
        (Limits(tools={"pay": ToolLimit(calls=0)}), "tool:pay"),
        (Limits(tools={"pay": ToolLimit(per_minute=0)}), "tool:pay:per_minute"),
        (Limits(tools={"mail": ToolLimit(calls=0, per_minute=0)}), None),
    ],
)
def test_a_call_is_held_where_every_dimension_has_room_for_it(limits: Limits, dimension: str | None) -> None:
    held = open_call(a_state(limits), CallHeld("5-0", "pay", at_ms=17, usd=7))
    assert short_of(held) == dimension if dimension else held == CallHeld("5-0", "pay", 17, 7)


@pytest.mark.parametrize(("usd", "held"), [(30, 30), (29, 20), (10, 10)])
def test_a_call_is_held_for_as_many_attempts_as_the_budget_covers(usd: int, held: int) -> None:
    assert open_call(a_state(Limits(usd=usd)), CallHeld("1-0", "look", 0, usd=10), attempts=3) == CallHeld(
        "1-0", "look", 0, held
    )


def test_a_call_is_short_where_the_budget_covers_not_one_attempt() -> None:
    assert short_of(open_call(a_state(Limits(usd=9)), CallHeld("1-0", "look", 0, usd=10), attempts=3)) == "usd"


@pytest.mark.parametrize(("served", "usd"), [(None, 120), (0, 120), (1_000_000, 120), (9_000_000, 1_080)])
def test_a_reply_by_a_dearer_model_is_settled_at_its_price(served: int | None, usd: int) -> None:
    asked = Price((Tier(0, 1_000_000, 1_000_000, 1_000_000),))
    other = None if served is None else Price((Tier(0, served, served, served),))
    settled = settle_decision(a_state(price=asked).after(HELD), Usage(90, 30), Lost(0), replied=True, served=other)
    assert settled.amount.usd == usd


@pytest.mark.parametrize(("usd", "settled"), [(0, 120), (119, 120), (121, 121), (10**6, 10**6)])
def test_the_providers_own_sum_counts_where_it_is_dearer(usd: int, settled: int) -> None:
    asked = Price((Tier(0, 1_000_000, 1_000_000, 1_000_000),))
    bill = settle_decision(a_state(price=asked).after(HELD), Usage(90, 30, usd=usd), Lost(0), replied=True)
    assert bill.amount.usd == settled


def test_a_run_without_a_price_stays_without_one_whoever_replies() -> None:
    dear = Price((Tier(0, 9, 9, 9),))
    settled = settle_decision(a_state(price=None).after(HELD), Usage(90, 30), Lost(0), replied=True, served=dear)
    assert settled.amount.usd == 0


METERED = Limits(tool_calls=1, exposure={"refunds": (Bound(500, "finance"), Bound(600))})


def test_a_call_that_passes_the_limit_of_a_meter_is_refused_before_a_budget_is_short() -> None:
    state = a_state(METERED)
    one = CallHeld("1-0", "pay", 0, 0, {"refunds": 501})
    assert open_call(state, one) == ExposureExceeded(
        "1-0", "pay", Excess({"refunds": Exposed(0, 501, 500)}, ("finance",))
    )
    assert open_call(state, replace(one, agreed={"refunds": 501})) == replace(one, agreed={"refunds": 501})
    spent = replace(state, budget=replace(state.budget, spent=Amount(tool_calls=1)))
    assert short_of(open_call(spent, replace(one, exposure={"refunds": 1}))) == "tool_calls"


def test_a_card_shows_the_sum_with_what_waits_for_people_to_let_it_above_a_limit() -> None:
    def asking(number: int, kind: ApprovalKind, end: ApprovalEnd | None = None) -> Approval:
        exposure = {"refunds": Exposed(0, 10**number, 500)}
        return Approval(f"apr_{number}", kind, f"1-{number}", "pay", "d", ("finance",), end=end, exposure=exposure)

    state = a_state(METERED).after(CallHeld("1-0", "pay", 0, 0, {"refunds": 200}))
    approvals = [
        asking(0, ApprovalKind.EXPOSURE),
        asking(1, ApprovalKind.ACTION),
        asking(2, ApprovalKind.EXPOSURE, ApprovalEnd.DENIED),
    ]
    state = replace(state, approvals={one.approval_id: one for one in approvals})
    shown = exposed_by(state, "1-9", {"refunds": 300, "vouchers": 1})
    assert shown == {"refunds": Exposed(201, 300, 500), "vouchers": Exposed(0, 1, None)}
    assert exposed_by(state, "1-0", {"refunds": 200}) == {"refunds": Exposed(1, 200, 500)}
    assert exposed_by(state, "1-9", {}) == {}
