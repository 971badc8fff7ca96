"""The facts about child runs stand in the audit under their names."""

from backstay.kernel.budget import Amount, Limits
from backstay.kernel.child_events import (
    ChildBegun,
    ChildEnded,
    ChildHeld,
    ChildRefused,
    ChildReleased,
    ChildRun,
    ChildWaits,
    HandedOver,
)


def test_the_events_have_names_of_their_own() -> None:
    events = (ChildHeld, ChildRefused, ChildReleased, ChildBegun, ChildWaits, ChildEnded, HandedOver)
    assert [event.name() for event in events] == [
        "child_held",
        "child_refused",
        "child_released",
        "child_begun",
        "child_waits",
        "child_ended",
        "handed_over",
    ]


def test_what_was_carved_stands_in_the_audit() -> None:
    facts = ChildHeld("1-0", "helper", Limits(usd=7), Amount(usd=7), 0).facts()
    assert (facts["limits"]["usd"], facts["amount"]["usd"], facts["minute"]) == (7, 7, {})


def test_a_child_has_no_run_before_it_begins() -> None:
    assert (ChildRun("helper").run_id, ChildRun("helper").status) == (None, None)
