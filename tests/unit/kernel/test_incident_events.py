"""An incident ends a run, or holds it: what stood still meanwhile goes on where it was."""

from dataclasses import replace

from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind
from backstay.kernel.events import ApprovalEnded, ApprovalOpened, DeadlinePassed, Event, Killed
from backstay.kernel.incident_events import AlarmRaised, Frozen, IncidentStopped, Thawed
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Stop, StopReason
from backstay.kernel.stopping import interruption, next_stop

STOPPED = IncidentStopped("i1", "olga", "it pays twice")
ASKED = Approval("apr_1", ApprovalKind.ACTION, "1-0", "pay", "sha256:1", ("finance",), expires_at_ms=9_000)


def after(*events: Event) -> RunState:
    state = RunState()
    for event in events:
        state = state.after(event)
    return state


def test_an_alarm_is_told_and_changes_nothing_of_its_run() -> None:
    alarm = AlarmRaised("1-0", "pay", "the till does not add up")
    assert alarm.name() == "alarm_raised"
    assert alarm.facts() == {"call_id": "1-0", "tool": "pay", "reason": "the till does not add up"}
    assert after(alarm) == RunState()


def test_a_stop_interrupts_the_run_at_once_and_says_who_and_why() -> None:
    state = RunState(running={"1-0": "pay"}).after(STOPPED)
    assert interruption(state)
    assert next_stop(state) == Stop(StopReason.INCIDENT_STOP, "by olga: it pays twice")
    assert state.in_flight["1-0"].tool == "pay"


def test_the_first_stop_stays_the_reason_and_only_a_kill_is_stronger() -> None:
    state = after(DeadlinePassed(60), STOPPED, replace(STOPPED, incident="i2", by="ann"))
    assert state.incident == STOPPED
    assert next_stop(state) == Stop(StopReason.INCIDENT_STOP, "by olga: it pays twice")
    killed = next_stop(state.after(Killed("ann", "enough")))
    assert killed is not None
    assert killed.reason is StopReason.KILLED


def test_a_run_stands_still_until_the_last_incident_that_froze_it_is_over() -> None:
    freeze = Frozen("i1", "olga", "look at it")
    state = after(freeze, freeze, replace(freeze, incident="i2"))
    assert state.frozen == ("i1", "i2")
    assert (state.stands_still, interruption(state), next_stop(state)) == (True, False, None)
    assert state.after(Thawed("i1", "olga", 0)).stands_still
    assert not state.after(Thawed("i1", "olga", 0)).after(Thawed("i2", "olga", 5)).stands_still


def test_the_open_approvals_of_a_frozen_run_gain_the_time_in_which_it_stood_still() -> None:
    ended = replace(ASKED, approval_id="apr_0")
    asked = (ApprovalOpened(ended), ApprovalEnded("apr_0", ApprovalEnd.DENIED, "fay"), ApprovalOpened(ASKED))
    state = after(*asked, Frozen("i1", "olga", "look at it"), Thawed("i1", "olga", 4_000))
    assert {name: one.expires_at_ms for name, one in state.approvals.items()} == {"apr_0": 9_000, "apr_1": 13_000}


def test_each_fact_stands_in_the_audit_under_its_name() -> None:
    events = (STOPPED, Frozen("i1", "olga", "why"), Thawed("i1", "olga", 1))
    assert [event.name() for event in events] == ["incident_stopped", "frozen", "thawed"]
    assert [event.facts()["incident"] for event in events] == ["i1", "i1", "i1"]
