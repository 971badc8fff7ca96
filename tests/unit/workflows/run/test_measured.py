"""What is measured of a run: verdicts and waiting as they come, its sums at its end."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from backstay.contracts import measures
from backstay.contracts.measures import Measure
from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind
from backstay.kernel.budget import Amount, Limits
from backstay.kernel.events import (
    Admitted,
    ApprovalEnded,
    ApprovalOpened,
    CallEnded,
    CallHeld,
    CallJudged,
    CallOutcome,
    Closed,
    DecisionHeld,
    DecisionSettled,
    Killed,
    ModelChanged,
)
from backstay.kernel.incident_events import IncidentStopped
from backstay.kernel.stop import StopReason, Thresholds
from backstay.kernel.verdict import Code, Outcome, Verdict
from workflows.run.clock import Clock
from workflows.run.measured import Measured
from workflows.run.record import Record

from .conftest import Time

LIMITS = Limits(steps=10, tokens=1_000, usd=1_000, seconds=100)
ADMITTED = Admitted("clerk", "1", "acme", None, "gpt-5-mini", LIMITS, Thresholds(), None, max_output_tokens=100)
ASKED = Approval("apr_1", ApprovalKind.ACTION, "1-0", "pay", "sha256:d", ("finance",))


class Told(list[tuple[str, float, Mapping[str, str]]]):
    """What was told, in its order."""

    def tell(self, measure: Measure, value: float, labels: Mapping[str, str]) -> None:
        assert set(labels) == set(measure.labels)
        self.append((measure.name, value, dict(labels)))

    def of(self, measure: Measure, **labels: str) -> list[float]:
        """The values of a metric that have these labels."""
        return [value for name, value, given in self if name == measure.name and labels.items() <= given.items()]


@pytest.fixture
def told(record: Record, clock: Clock) -> Told:
    told = Told()
    record.follow(Measured(record, clock, told.tell))
    return told


@pytest.fixture
def admitted(told: Told, record: Record) -> None:
    """Admits the run."""
    record.apply(ADMITTED)


def decided(record: Record, step: int, tokens: tuple[int, int], usd: int) -> None:
    """Makes a decision that took tokens and money."""
    amount = Amount(steps=1, model_calls=1, input_tokens=tokens[0], output_tokens=tokens[1], usd=usd)
    record.apply(DecisionHeld(step, 1, tokens[0], tokens[1], amount))
    record.apply(DecisionSettled(step, amount, 0, 0, 0))


@pytest.mark.usefixtures("admitted")
def test_a_verdict_is_counted_once_and_for_each_of_its_rules(told: Told, record: Record) -> None:
    verdict = Verdict(Outcome.DENY, Code.FORBIDDEN, "d", "p", ("no-gifts", "org-rates"))
    record.apply(CallJudged("1-0", "made up by a model", verdict))
    assert told == [
        ("backstay_verdicts", 1, {"agent": "clerk", "outcome": "deny", "code": "forbidden"}),
        ("backstay_verdict_rules", 1, {"agent": "clerk", "outcome": "deny", "rule": "no-gifts"}),
        ("backstay_verdict_rules", 1, {"agent": "clerk", "outcome": "deny", "rule": "org-rates"}),
    ]


@pytest.mark.usefixtures("admitted")
def test_an_approval_waits_from_the_question_to_its_end(told: Told, record: Record, clock: Clock, time: Time) -> None:
    record.apply(ApprovalOpened(replace(ASKED, requested_at_ms=clock.now_ms())))
    time.passes(90.5)
    record.apply(ApprovalEnded("apr_1", ApprovalEnd.DENIED, "ann"))
    assert told == [("backstay_approval_wait_seconds", 90.5, {"agent": "clerk", "kind": "action", "end": "denied"})]


@pytest.mark.usefixtures("admitted")
@pytest.mark.parametrize(
    ("stop", "cause"),
    [(Killed("olga", "enough"), "kill"), (IncidentStopped("i1", "olga", "enough"), "incident")],
)
def test_a_kill_lasts_until_the_run_is_closed(stop: Any, cause: str, told: Told, record: Record, time: Time) -> None:
    record.apply(stop)
    time.passes(0.5)
    record.apply(Killed("olga", "again"))
    time.passes(1)
    record.apply(Closed(StopReason.KILLED))
    assert told.of(measures.KILL_LATENCY, cause=cause) == told.of(measures.KILL_LATENCY) == [1.5]


@pytest.mark.usefixtures("admitted")
def test_the_end_tells_what_the_run_has_spent(told: Told, record: Record) -> None:
    decided(record, 1, (100, 20), 30)
    decided(record, 2, (200, 30), 40)
    record.apply(CallHeld("2-0", "pay", 0, usd=5, exposure={"refunds_usd": 990_000}))
    record.apply(CallEnded("2-0", "pay", CallOutcome.UNKNOWN, usd=5))
    record.apply(Closed(StopReason.COMPLETED))
    assert told.of(measures.RUNS_CLOSED, agent="clerk", stop_reason="completed") == [1]
    assert told.of(measures.STEPS) == [2]
    assert told.of(measures.SPENT) == [75]
    assert told.of(measures.TOKENS, model="gpt-5-mini", type="input") == [300]
    assert told.of(measures.TOKENS, type="output") == [50]
    assert told.of(measures.EXPOSURE, meter="refunds_usd") == [990_000]
    assert told.of(measures.KILL_LATENCY) == []


@pytest.mark.usefixtures("admitted")
def test_each_model_has_its_own_tokens_and_the_first_one_what_is_left(told: Told, record: Record) -> None:
    decided(record, 1, (100, 20), 30)
    record.apply(ModelChanged("gpt-5-nano", None, "near_limit"))
    decided(record, 2, (7, 3), 1)
    record.apply(ModelChanged("gpt-5-mini", None, "fallback"))
    decided(record, 3, (10, 1), 3)
    record.apply(Closed(StopReason.COMPLETED))
    assert told.of(measures.TOKENS, model="gpt-5-mini", type="input") == [110]
    assert told.of(measures.TOKENS, model="gpt-5-nano", type="input") == [7]
    assert sum(told.of(measures.TOKENS, type="output")) == record.state.budget.spent.output_tokens == 24


def test_the_end_tells_which_part_of_each_limit_is_left(told: Told, record: Record, time: Time) -> None:
    record.apply(replace(ADMITTED, limits=replace(LIMITS, tool_calls=0)))
    decided(record, 1, (200, 50), 250)
    time.passes(130)
    record.apply(Closed(StopReason.DEADLINE_EXCEEDED))
    left = {labels["dimension"]: value for name, value, labels in told if name == measures.BUDGET_LEFT.name}
    assert left == {"steps": 0.9, "tokens": 0.75, "usd": 0.75, "seconds": 0.0}  # a limit of zero has no part


def test_a_run_that_ended_before_its_admission_names_no_agent(told: Told, record: Record) -> None:
    record.apply(Killed("olga", "enough"))
    record.apply(Closed(StopReason.KILLED))
    assert told == [
        ("backstay_runs_closed", 1, {"agent": "", "stop_reason": "killed"}),
        ("backstay_kill_latency_seconds", 0, {"agent": "", "cause": "kill"}),
    ]


@pytest.mark.usefixtures("admitted")
def test_the_engines_cancel_has_a_word_where_others_have_a_reason(told: Told, record: Record) -> None:
    record.apply(Closed(None))
    assert told.of(measures.RUNS_CLOSED, stop_reason="cancelled") == [1]
