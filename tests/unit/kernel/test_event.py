"""One fact about a run: the name under which it stands in the audit, and its fields as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass

from backstay.kernel.event import Event
from backstay.kernel.stop import Stop, StopReason


@dataclass(frozen=True, slots=True)
class ParcelSent(Event):
    """A fact with a value of every shape."""

    to: str | None
    stops: tuple[Stop, ...]
    returned: Mapping[str, Stop]


def test_its_name_is_that_of_its_class_in_snake_case() -> None:
    assert ParcelSent.name() == "parcel_sent"


def test_its_facts_are_plain_all_the_way_down() -> None:
    stop, plain = Stop(StopReason.KILLED, "by ann"), {"reason": StopReason.KILLED, "detail": "by ann"}
    facts = ParcelSent(None, (stop,), {"box": stop}).facts()
    assert facts == {"to": None, "stops": (plain,), "returned": {"box": plain}}
