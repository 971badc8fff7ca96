"""What breakers are told of a run: its calls, what decisions cost, and its end."""

from dataclasses import replace

import pytest

from backstay.contracts.run import RunRequest
from backstay.contracts.status import TranscriptItem
from backstay.kernel.breaker import Report, ReportKind
from backstay.kernel.budget import Amount
from backstay.kernel.events import CallEnded, CallJudged, CallOutcome, Closed, DecisionSettled, ModelChanged, Resumed
from backstay.kernel.stop import StopReason
from backstay.kernel.verdict import Code, Outcome, Verdict
from workflows.run.reports import RunReports

REQUEST = RunRequest(goal="work", agent="clerk", tenant="acme")


class Told:
    """A run's reports, in their order."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.run = RunReports("run-1", REQUEST, self.reports.append)
        self.run.happened(ModelChanged("gpt-5-nano", None, "fallback"))

    def call(self, status: str, text: str = "", call_id: str = "1-0", usd: int = 0) -> Report | None:
        """Ends a call; returns what was told of it."""
        before = len(self.reports)
        self.run.happened(CallEnded(call_id, "pay", CallOutcome(status), usd))
        self.run.said(TranscriptItem(kind="result", call_id=call_id, tool="pay", text=text, status=status))
        return self.reports[-1] if len(self.reports) > before else None

    def refused(self, code: Code, outcome: Outcome = Outcome.DENY) -> None:
        self.run.happened(CallJudged("1-0", "pay", Verdict(outcome, code, "d", "p")))

    def end(self, reason: StopReason | None, detail: str | None = None) -> Report:
        self.run.happened(Closed(reason, detail))
        return self.reports[-1]


def fingerprint(report: Report | None) -> str:
    assert report is not None
    return report.failed[0].fingerprint


def test_a_call_that_is_done_is_told_with_its_tool_and_its_cost() -> None:
    told = Told().call("completed", usd=7)
    assert told == Report(ReportKind.CALL, "clerk", "acme", "pay", "gpt-5-nano", good=1, usd=7)


@pytest.mark.parametrize(("status", "reason"), [("failed", "tool_failures"), ("unknown", "outcome_unknown")])
def test_a_call_that_failed_is_told_as_what_it_would_stop_a_run_for(status: str, reason: str) -> None:
    told = Told().call(status, "no route")
    assert told is not None
    [failure] = told.failed
    assert (failure.run, failure.reasons, told.good) == ("run-1", (reason,), 0)


def test_failures_of_the_same_words_are_alike_and_others_are_not() -> None:
    one, same, other = (fingerprint(Told().call("failed", text)) for text in ("order 1: no", "order 2: no", "gone"))
    assert one == same != other


def test_a_refused_call_is_told_by_its_code_and_one_that_people_refuse_is_not() -> None:
    told = Told()
    told.refused(Code.FORBIDDEN)
    refused = told.call("denied")
    assert refused is not None
    assert refused.failed[0].reasons == ("forbidden",)
    other = Told()
    other.refused(Code.NEEDS_APPROVAL, Outcome.REQUIRE_APPROVAL)
    assert other.call("denied") is None
    assert other.call("cancelled") is None


def test_a_call_that_the_runs_end_cut_short_is_told_with_its_cost_and_no_failure() -> None:
    told = Told().call("cancelled", usd=7)
    assert told == Report(ReportKind.CALL, "clerk", "acme", "pay", "gpt-5-nano", usd=7)


def test_a_decision_is_told_where_it_cost_something() -> None:
    told = Told()
    settled = DecisionSettled(1, Amount(usd=12), 0, 0, 0)
    told.run.happened(settled)
    told.run.happened(replace(settled, amount=Amount()))
    told.run.happened(Resumed("olga"))
    told.run.said(TranscriptItem(kind="note", text="x"))
    assert told.reports == [Report(ReportKind.DECISION, "clerk", "acme", None, "gpt-5-nano", usd=12)]


def test_a_run_is_told_with_its_end_and_the_codes_of_its_refused_calls() -> None:
    assert Told().end(StopReason.COMPLETED) == Report(ReportKind.RUN, "clerk", "acme", None, "gpt-5-nano", good=1)
    told = Told()
    told.refused(Code.FORBIDDEN)
    assert told.end(StopReason.COMPLETED).failed[0].reasons == ("completed", "forbidden")
    assert Told().end(None).failed[0].reasons == ("cancelled",)


def test_runs_that_failed_for_their_calls_are_alike_where_those_are() -> None:
    def failed(text: str, detail: str) -> str:
        told = Told()
        told.call("failed", text)
        return fingerprint(told.end(StopReason.TOOL_FAILURES, detail))

    assert failed("no route", "5 in a row") == failed("no route", "6 times")
    assert failed("no route", "5 in a row") != failed("gone", "5 in a row")
    lost = [fingerprint(Told().end(StopReason.MODEL_UNAVAILABLE, detail)) for detail in ("HTTP 503", "no address")]
    assert lost[0] != lost[1]
