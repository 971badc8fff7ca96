import pytest

from backstay.contracts.status import PageRequest, TranscriptItem
from backstay.kernel.audit import AuditHead, verify
from backstay.kernel.events import Killed, Paused, Resumed
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Stop, StopReason
from backstay.kernel.stopping import interruption, next_stop
from workflows.run.record import Record

from .conftest import Time


def test_each_event_changes_the_state_and_leaves_a_record_with_its_time(record: Record, time: Time) -> None:
    record.apply(Paused("ann"))
    time.passes(1.5)
    record.apply(Resumed("bob", "checked"))
    assert not record.state.paused
    records = record.records(PageRequest()).items
    assert [(one["at"], one["event"]) for one in records] == [
        ("2026-05-01T12:00:00.000Z", "paused"),
        ("2026-05-01T12:00:01.500Z", "resumed"),
    ]
    assert verify(records) == record.audit == AuditHead(2, records[-1]["hash"])


def test_whoever_heeds_events_is_called_after_each_in_the_order_of_asking(record: Record) -> None:
    seen: list[str] = []
    record.heed(lambda: seen.append(f"first {record.state.paused}"))
    record.heed(lambda: seen.append("second"))
    record.apply(Paused("ann"))
    assert seen == ["first True", "second"]


def test_an_item_of_the_transcript_gets_its_number_and_the_step(record: Record) -> None:
    record.say(TranscriptItem(kind="goal", text="Refund."))
    record.say(TranscriptItem(kind="note", text="Conclude."))
    items = record.items(PageRequest(after=1)).items
    assert [(item["n"], item["step"], item["text"]) for item in items] == [(2, 0, "Conclude.")]


def test_a_closed_run_keeps_its_reason_whatever_happens_after(record: Record) -> None:
    record.close(Stop(StopReason.COMPLETED))
    record.apply(Killed("ann", "too late"))
    assert record.stop == Stop(StopReason.COMPLETED)


def test_a_run_that_was_killed_is_over(record: Record) -> None:
    assert not record.over
    record.apply(Killed("ann", "why"))
    assert record.over


def test_what_a_run_waits_for_is_shown_to_whoever_heeds_it_until_it_waits_no_more(record: Record) -> None:
    seen: list[list[str]] = []
    record.heed(lambda: seen.append(list(record.troubles)))
    record.waits_for("a worker")
    record.waits_for("a worker")
    record.waits_no_more("a worker")
    record.waits_no_more("a worker")
    assert seen == [["a worker"], ["a worker", "a worker"], ["a worker"], []]


def test_what_a_run_waits_for_and_why_it_stops_is_found_once_for_each_state(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[RunState] = []

    def finding(state: RunState) -> Stop | None:
        found.append(state)
        return next_stop(state)

    monkeypatch.setattr("workflows.run.record.next_stop", finding)
    for event in (Paused("ann"), Killed("bob", "why")):
        record.apply(event)
        before = len(found)
        assert [(record.stop, record.interrupted, record.over) for _ in range(5)] == 5 * [
            (next_stop(record.state), interruption(record.state), isinstance(event, Killed))
        ]
        assert len(found) - before <= 1
