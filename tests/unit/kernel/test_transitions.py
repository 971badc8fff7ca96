"""What each event makes of the state of a run."""

from dataclasses import replace

import pytest

from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind
from backstay.kernel.budget import Amount, Limits, ToolLimit
from backstay.kernel.events import (
    Admitted,
    ApprovalEnded,
    ApprovalOpened,
    ApprovalVoted,
    BudgetShort,
    CallEnded,
    CallHeld,
    CallJudged,
    CallOutcome,
    CallReleased,
    CancelRequested,
    Closed,
    Concluding,
    Counted,
    DeadlinePassed,
    Decided,
    DecisionEnded,
    DecisionHeld,
    DecisionKind,
    DecisionSettled,
    DecisionUnusable,
    Event,
    ExposureExceeded,
    Flight,
    Granted,
    HistoryFull,
    Killed,
    MessageRefused,
    ModelChanged,
    Paused,
    Resumed,
    Tainted,
    WrapsUp,
)
from backstay.kernel.ledger_period import Period
from backstay.kernel.meter import Bound, Excess, Exposed
from backstay.kernel.price import Price, Tier
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Stop, StopReason, Thresholds
from backstay.kernel.stopping import next_stop
from backstay.kernel.verdict import Code, Outcome, Verdict

PRICE = Price((Tier(0, 1, 1, 1),))
FAILED = CallOutcome.FAILED
THRESHOLDS = Thresholds(denials=7, repeats=7, failures=7, malformed=7)


def admission(limits: Limits) -> Admitted:
    return Admitted("clerk", "1", "t", "ann", "m", limits, THRESHOLDS, PRICE, 100)


def admitted(limits: Limits | None = None) -> RunState:
    return RunState().after(admission(limits or Limits()))


def after(state: RunState, *events: Event) -> RunState:
    for event in events:
        state = state.after(event)
    return state


def verdict(outcome: Outcome, code: Code, rules: tuple[str, ...] = ()) -> Verdict:
    return Verdict(outcome, code, "d", "v", rules)


ASKED = Approval("apr_1", ApprovalKind.ACTION, "1-0", "pay", "d", ("finance",), {"finance": ("ann", "bob")})
DECISION = DecisionHeld(1, 2, 10, 5, Amount(steps=1, model_calls=2, input_tokens=20, output_tokens=10, usd=8))


def test_an_admission_fixes_what_the_run_may_do() -> None:
    state = admitted(Limits(usd=5))
    assert state.admitted
    assert (state.budget.limits, state.thresholds) == (Limits(usd=5), THRESHOLDS)
    assert (state.price, state.max_output_tokens) == (PRICE, 100)


def test_a_run_is_admitted_once() -> None:
    state = admitted(Limits(usd=5))
    assert state.after(admission(Limits(usd=500))) == state


@pytest.mark.parametrize("event", [DECISION, CallHeld("1-0", "pay", 0)])
def test_nothing_is_held_before_the_admission(event: Event) -> None:
    state = RunState().after(event)
    assert dict(state.budget.holds) == {}
    assert next_stop(state) == Stop(StopReason.BUDGET_EXHAUSTED, "admission")


def test_a_held_decision_is_the_open_one_until_it_is_settled() -> None:
    state = admitted(Limits(usd=8)).after(DECISION)
    assert (state.step, state.decision, state.budget.left("usd")) == (1, DECISION, 0)
    state = state.after(DecisionSettled(1, Amount(steps=1, usd=3), usd_unbilled=2, lost_attempts=1, context_tokens=77))
    assert (state.decision, state.context_tokens, state.budget.left("usd")) == (None, 77, 5)
    assert state.budget.usd_unbilled == 2
    assert next_stop(state) is None


def test_a_decision_that_does_not_fit_is_not_opened() -> None:
    state = admitted(Limits(usd=7)).after(DECISION)
    assert (state.step, state.decision) == (0, None)
    assert next_stop(state) == Stop(StopReason.BUDGET_EXHAUSTED, "usd")


def test_settling_a_decision_twice_or_one_that_was_never_held_changes_nothing() -> None:
    settled = DecisionSettled(1, Amount(usd=3), 0, 0, context_tokens=77)
    state = after(admitted(), DECISION, settled)
    later = DecisionSettled(1, Amount(usd=900), 900, 3, context_tokens=1)
    assert state.after(later) == state
    assert admitted().after(later) == admitted()


def test_settling_an_older_decision_leaves_the_newer_one_open() -> None:
    second = DecisionHeld(2, 1, 1, 1, Amount(usd=1))
    state = after(admitted(), DECISION, second, DecisionSettled(1, Amount(usd=3), 0, 0, 77))
    assert state.decision == second
    assert set(state.budget.holds) == {"decide-2"}


def test_a_bill_above_its_hold_is_paid_and_stops_the_run_openly() -> None:
    state = after(admitted(Limits(usd=8)), DECISION, DecisionSettled(1, Amount(usd=9), 0, 0, 0))
    assert state.budget.spent.usd == 9
    assert next_stop(state) == Stop(StopReason.BUDGET_EXHAUSTED, "usd:overbilled")


def test_an_overbilled_hold_is_named_even_where_something_was_short_before() -> None:
    short = after(admitted(), DECISION, CallHeld("1-0", "pay", 0, usd=4), BudgetShort("steps"))
    state = short.after(CallEnded("1-0", "pay", CallOutcome.COMPLETED, usd=5))
    assert next_stop(state) == Stop(StopReason.BUDGET_EXHAUSTED, "usd:overbilled")
    state = state.after(DecisionSettled(1, Amount(input_tokens=99), 0, 0, 0))
    assert next_stop(state) == Stop(StopReason.BUDGET_EXHAUSTED, "usd:overbilled")


def test_the_first_shortage_is_the_one_that_is_named() -> None:
    state = after(admitted(), BudgetShort("tool:pay"), BudgetShort("usd"))
    assert next_stop(state) == Stop(StopReason.BUDGET_EXHAUSTED, "tool:pay")


def test_a_call_is_counted_when_it_is_held_and_runs_until_it_ends() -> None:
    state = admitted(Limits(tools={"pay": ToolLimit(calls=1)})).after(CallHeld("1-0", "pay", 0, usd=4))
    assert dict(state.running) == {"1-0": "pay"}
    assert state.budget.held == Amount(tool_calls=1, usd=4, tools={"pay": 1})
    state = state.after(CallEnded("1-0", "pay", CallOutcome.COMPLETED, usd=3))
    assert dict(state.running) == {}
    assert state.budget.spent == Amount(tool_calls=1, usd=3, tools={"pay": 1})
    refused = state.after(CallHeld("2-0", "pay", 0))
    assert next_stop(refused) == Stop(StopReason.BUDGET_EXHAUSTED, "tool:pay")
    assert dict(refused.running) == {}


def test_the_end_of_a_call_that_does_not_run_changes_nothing() -> None:
    state = after(admitted(), CallHeld("1-0", "pay", 0), CallEnded("1-0", "pay", FAILED))
    for outcome in CallOutcome:
        assert state.after(CallEnded("1-0", "pay", outcome, usd=9)) == state
        assert state.after(CallEnded("never", "pay", outcome, usd=9)) == state


def test_a_call_that_was_denied_at_the_last_moment_costs_nothing() -> None:
    state = after(admitted(), CallHeld("1-0", "pay", 0, usd=4), CallEnded("1-0", "pay", CallOutcome.DENIED))
    assert (state.budget.spent, state.budget.held, dict(state.running)) == (Amount(), Amount(), {})


def test_a_released_call_costs_nothing() -> None:
    state = after(admitted(), CallHeld("1-0", "pay", 0, usd=4), CallReleased("1-0", "pay"))
    assert (state.budget.spent, state.budget.held, dict(state.running)) == (Amount(), Amount(), {})


def test_a_call_that_names_another_tool_at_its_end_is_not_lost_silently() -> None:
    state = after(admitted(), CallHeld("1-0", "pay", 0), CallEnded("1-0", "mail", CallOutcome.COMPLETED))
    assert next_stop(state) == Stop(StopReason.BUDGET_EXHAUSTED, "tool:mail:overbilled")


@pytest.mark.parametrize(
    ("outcome", "failures"),
    [
        (CallOutcome.COMPLETED, 0),
        (CallOutcome.FAILED, 2),
        (CallOutcome.DENIED, 1),
        (CallOutcome.CANCELLED, 1),
        (CallOutcome.UNKNOWN, 1),
    ],
)
def test_failures_count_in_a_row_until_a_call_succeeds(outcome: CallOutcome, failures: int) -> None:
    one_by_one = after(admitted(), *(DecisionEnded(step, (end,), ()) for step, end in ((1, FAILED), (2, outcome))))
    together = after(admitted(), DecisionEnded(1, (FAILED, outcome), ()))
    assert one_by_one.failures == together.failures == failures


def test_the_same_results_count_as_no_progress_unless_a_tool_may_repeat_itself() -> None:
    prints = [("p",), ("p", "p"), (), ("p",)]
    state = after(admitted(), *(DecisionEnded(step, (FAILED,), ends) for step, ends in enumerate(prints)))
    assert state.progress.repetitions == 3


@pytest.mark.parametrize(
    "interrupting", [Killed("ann", "enough"), DeadlinePassed(9), HistoryFull(9, 9, 9), CancelRequested()]
)
def test_what_was_running_when_a_run_is_interrupted_is_kept_with_its_end(interrupting: Event) -> None:
    state = after(admitted(), CallHeld("1-0", "pay", 0), CallHeld("1-1", "mail", 0), CallHeld("1-2", "look", 0))
    state = after(state, interrupting, CallEnded("1-1", "mail", CallOutcome.UNKNOWN), CallReleased("1-2", "look"))
    assert dict(state.in_flight) == {"1-0": Flight("pay"), "1-1": Flight("mail", CallOutcome.UNKNOWN)}
    assert state.unknown_tool is None
    assert after(state, interrupting, Killed("bob", "again")).in_flight == state.in_flight


def test_a_full_history_is_named_as_what_ran_out_unless_something_had_run_out_before() -> None:
    full = HistoryFull(9, 9, 9)
    assert next_stop(after(admitted(), full)) == Stop(StopReason.BUDGET_EXHAUSTED, "history")
    assert next_stop(after(admitted(), BudgetShort("usd"), full)) == Stop(StopReason.BUDGET_EXHAUSTED, "usd")


def test_the_first_kill_is_the_one_that_counts() -> None:
    state = after(admitted(), Killed("ann", "enough"), Killed("bob", "me too"))
    assert next_stop(state) == Stop(StopReason.KILLED, "by ann: enough")


def test_the_first_unknown_outcome_is_the_one_that_is_named() -> None:
    state = after(admitted(), CallHeld("1-0", "pay", 0), CallHeld("1-1", "mail", 0))
    state = after(state, *(CallEnded(f"1-{n}", tool, CallOutcome.UNKNOWN) for n, tool in enumerate(("pay", "mail"))))
    assert next_stop(state) == Stop(StopReason.OUTCOME_UNKNOWN, "pay")


@pytest.mark.parametrize(
    ("judged", "malformed", "denials", "detail"),
    [
        (verdict(Outcome.ALLOW, Code.PERMITTED), 0, 0, None),
        (verdict(Outcome.REQUIRE_APPROVAL, Code.NEEDS_APPROVAL), 0, 0, None),
        (verdict(Outcome.DENY, Code.INVALID_ARGS), 1, 0, None),
        (verdict(Outcome.DENY, Code.NOT_PERMITTED), 0, 1, "pay: not_permitted"),
        (verdict(Outcome.DENY, Code.FORBIDDEN, ("r1", "r2")), 0, 1, "pay: r1, r2"),
    ],
)
def test_a_verdict_counts_as_a_refusal_or_ends_a_row_of_unusable_decisions(
    judged: Verdict, malformed: int, denials: int, detail: str | None
) -> None:
    state = after(admitted(), DecisionUnusable(1), CallJudged("2-0", "pay", judged))
    assert (state.malformed, state.denials) == (malformed, denials)
    assert (state.last_denial.detail if state.last_denial else None) == detail


def test_unusable_decisions_count_in_a_row_until_an_answer() -> None:
    state = after(admitted(), Decided(1, DecisionKind.MALFORMED, 0, "cut"), DecisionUnusable(2))
    assert (state.malformed, state.after(Decided(3, DecisionKind.CALLS, 2)).malformed) == (2, 2)
    answered = state.after(Decided(3, DecisionKind.ANSWER, 0))
    assert (answered.malformed, answered.answered) == (0, True)


def test_a_run_is_paused_until_it_is_resumed() -> None:
    paused = admitted().after(Paused("ann"))
    assert paused.paused
    assert paused.after(Resumed("bob")) == admitted()
    assert next_stop(paused) is None


def test_a_refused_message_is_counted() -> None:
    assert after(admitted(), MessageRefused("kill", "InvalidMessage")).refused_messages == 1


def test_a_taint_stays() -> None:
    state = after(admitted(), Tainted("web"), Tainted("mail", "secret"), Tainted("web"))
    assert state.taint == {"untrusted", "secret"}


def test_an_agent_is_told_to_conclude_for_good() -> None:
    assert admitted().after(Concluding("usd")).concluding


def test_a_grant_puts_higher_limits_in_force_and_lets_the_agent_be_told_again() -> None:
    state = after(admitted(Limits(usd=5)), Concluding("usd"), Granted("ann", "more", Limits(usd=2), Limits(usd=7)))
    assert (state.budget.limits, state.concluding) == (Limits(usd=7), False)


def test_a_last_answer_is_held_beside_a_decision_until_the_run_ends() -> None:
    last = Amount(steps=1, usd=3)
    state = admitted(Limits(steps=2, usd=8)).after(DecisionHeld(1, 1, 10, 10, Amount(steps=1, usd=5), last))
    assert state.budget.held == Amount(steps=2, usd=8)
    assert state.after(WrapsUp("usd")).wrapped
    assert state.after(Closed(None)).budget.held == Amount(steps=1, usd=5)
    short = admitted(Limits(steps=1)).after(DecisionHeld(1, 1, 10, 10, Amount(steps=1), last))
    assert (short.shortfall, short.decision) == ("steps", None)


def test_decisions_are_held_at_the_price_of_the_model_that_the_run_changed_to() -> None:
    cheap = Price((Tier(0, 0, 0, 1),))
    state = after(admitted(), ModelChanged("mini", PRICE, "fallback"), ModelChanged("nano", cheap, "near_limit"))
    assert (state.price, state.models) == (cheap, ("mini", "nano"))


def test_what_is_spent_on_models_that_the_run_changed_to_is_known_by_model() -> None:
    def decided(state: RunState, step: int) -> RunState:
        bill = Amount(steps=1, model_calls=1, input_tokens=step, usd=10 * step)
        return after(state, DecisionHeld(step, 1, 9, 9, bill), DecisionSettled(step, bill, 0, 0, 9))

    state = decided(admitted(), 1)
    assert state.spent_by == {}
    state = decided(after(state, ModelChanged("mini", PRICE, "fallback")), 2)
    state = decided(decided(after(state, ModelChanged("nano", PRICE, "near_limit")), 3), 4)
    assert {name: (one.model_calls, one.usd) for name, one in state.spent_by.items()} == {
        "mini": (1, 20),
        "nano": (2, 70),
    }


@pytest.mark.parametrize("end", [ApprovalEnd.DENIED, ApprovalEnd.EXPIRED])
def test_a_no_to_more_budget_refuses_no_call(end: ApprovalEnd) -> None:
    asked = replace(ASKED, kind=ApprovalKind.BUDGET)
    state = after(admitted(), ApprovalOpened(asked), ApprovalEnded("apr_1", end, "ann"))
    assert (state.denials, state.last_denial, state.open_approvals) == (0, None, [])


def test_an_approval_is_open_until_it_ends() -> None:
    state = admitted().after(ApprovalOpened(ASKED))
    assert state.open_approvals == [ASKED]
    voted = state.after(ApprovalVoted("apr_1", "ann"))
    assert voted.open_approvals[0].answered_by == ("ann",)
    ended = voted.after(ApprovalEnded("apr_1", ApprovalEnd.APPROVED, "ann"))
    assert ended.open_approvals == []
    assert ended.denials == 0
    assert ended.after(ApprovalEnded("apr_1", ApprovalEnd.DENIED, "bob")) == ended
    assert ended.after(ApprovalOpened(ASKED)) == ended


@pytest.mark.parametrize("by", ["ann", "nobody"])
def test_a_vote_that_does_not_count_changes_nothing(by: str) -> None:
    state = after(admitted(), ApprovalOpened(ASKED), ApprovalVoted("apr_1", "ann"))
    assert state.after(ApprovalVoted("apr_1", by)) == state
    assert state.after(ApprovalVoted("apr_2", "bob")) == state


METERED = Limits(exposure={"refunds": (Bound(500),)})
HELD = CallHeld("1-0", "pay", 0, 0, {"refunds": 99})


@pytest.mark.parametrize(
    ("end", "spent", "held"),
    [
        (CallEnded("1-0", "pay", CallOutcome.COMPLETED), 99, 0),
        (CallEnded("1-0", "pay", CallOutcome.COMPLETED, borrowed=True), 0, 0),
        (CallEnded("1-0", "pay", CallOutcome.FAILED), 0, 0),
        (CallEnded("1-0", "pay", CallOutcome.FAILED, unclear=True), 0, 99),
        (CallEnded("1-0", "pay", CallOutcome.FAILED, unclear=True, borrowed=True), 0, 0),
        (CallEnded("1-0", "pay", CallOutcome.DENIED), 0, 0),
        (CallEnded("1-0", "pay", CallOutcome.CANCELLED), 0, 0),
        (CallEnded("1-0", "pay", CallOutcome.UNKNOWN), 0, 99),
        (CallEnded("1-0", "pay", CallOutcome.UNKNOWN, borrowed=True), 0, 0),
        (CallReleased("1-0", "pay"), 0, 0),
    ],
)
def test_a_meter_counts_what_happened_and_keeps_what_may_have(end: Event, spent: int, held: int) -> None:
    state = after(admitted(METERED), HELD, end, end)
    assert state.budget.spent.exposure.get("refunds", 0) == spent
    assert state.budget.held.exposure.get("refunds", 0) == held
    assert (state.budget.held.tool_calls, state.budget.held.tools) == (0, {})
    assert not isinstance(end, CallEnded) or end.counts == bool(spent or held)


def test_a_call_above_the_limit_of_a_meter_is_not_held_unless_people_agreed() -> None:
    state = after(admitted(METERED), CallHeld("1-0", "pay", 0, 0, {"refunds": 501}))
    assert state.shortfall == "exposure:refunds"
    assert state.running == {}


def test_a_call_that_was_not_made_for_its_meters_changes_nothing() -> None:
    state = admitted(METERED)
    exceeded = ExposureExceeded("1-0", "pay", Excess({"refunds": Exposed(0, 501, 500)}))
    assert state.after(exceeded) == state


def test_a_run_knows_the_last_sums_that_ledgers_told() -> None:
    first = Counted("1-0", "pay", "meter-1-0", {"refunds": {Period.DAY: 5}, "vouchers": {Period.DAY: 1}}, {})
    second = Counted("1-1", "pay", "meter-1-1", {"refunds": {Period.DAY: 9}}, {})
    assert after(admitted(), first, second).counted == {"refunds": {Period.DAY: 9}, "vouchers": {Period.DAY: 1}}


def test_a_question_that_nobody_answers_in_time_refuses_no_call() -> None:
    question = replace(ASKED, kind=ApprovalKind.QUESTION)
    before = replace(admitted(), thresholds=replace(THRESHOLDS, denials=1, expiry_stops=True))
    state = after(before, ApprovalOpened(question), ApprovalEnded("apr_1", ApprovalEnd.EXPIRED))
    assert (state.denials, state.expired, state.open_approvals) == (0, None, [])
    assert next_stop(state) is None
