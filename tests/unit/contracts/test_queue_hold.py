"""What the server keeps as the reason of a queue that is held says for whom, and what comes back."""

import pytest

from backstay.contracts.queue_hold import LONGEST_REASON, MOST_SHOWN, QueueHold, QueueUse, UnheldQueue, shown
from backstay.kernel.engine import CallKind, Traffic, Unheld

HOLD = QueueHold(("i1", "i2"), 475_000, "475 rpm, set by olga: 95 % of 500\nas agreed")


def test_a_reason_is_read_as_it_was_written() -> None:
    assert HOLD.words == "held by the incident i1, i2\nbefore: 475 rpm\n475 rpm, set by olga: 95 % of 500\nas agreed"
    for hold in (HOLD, QueueHold(("i1",), None, ""), QueueHold(("i1",), 1, "x"), QueueHold(("i1",), 0, "closed")):
        assert QueueHold.read(0, hold.words) == hold


@pytest.mark.parametrize(
    ("rate", "words"),
    [(475_000, HOLD.words), (None, HOLD.words), (0, "475 rpm, set by olga"), (0, ""), (0, "held by the incident i1")],
)
def test_a_queue_with_a_rate_or_another_reason_is_not_held(rate: int | None, words: str) -> None:
    assert QueueHold.read(rate, words) is None


def test_the_server_takes_the_longest_reason() -> None:
    long = QueueHold(tuple(f"{'x' * 60}{number:04}" for number in range(MOST_SHOWN)), 10**10, "ü" * 500)
    assert len(long.words.encode()) <= LONGEST_REASON
    read = QueueHold.read(0, long.words)
    assert read is not None
    assert (read.incidents, read.rate) == (long.incidents, long.rate)


def test_an_incident_holds_a_queue_once_and_leaves_it_to_the_others() -> None:
    alone = QueueHold(("i1",), None, "")
    both = alone.beside("i2").beside("i2")
    assert both.incidents == ("i1", "i2")
    assert both.without("i1", None).incidents == ("i2",)
    assert both.without("i1", ["i2", "i3"]).incidents == ("i2",)
    assert both.without("i1", []).incidents == ()
    assert len(QueueHold((), None, "").beside("a").incidents) == 1


@pytest.mark.parametrize("odd", ["a b", "a,b", "größe", "x" * 65, "a\nb"])
def test_an_odd_id_is_known_again_by_its_digest(odd: str) -> None:
    hold = QueueHold((), None, "").beside(odd)
    assert hold.is_of(odd)
    assert not hold.is_of("other")
    assert shown(odd) != odd
    assert QueueHold.read(0, hold.words) == hold


def test_what_a_fleet_tells_reaches_the_kernel_whole() -> None:
    use = QueueUse(queue="model-main", kind=CallKind.MODELS, alone=True, uses={"desk": ["gpt", "gpt"]})
    assert use.traffic == Traffic("model-main", CallKind.MODELS, True, {"desk": frozenset({"gpt"})})
    unknown = QueueUse(queue="q", kind=CallKind.TOOLS, alone=False, uses=None)
    assert unknown.traffic == Traffic("q", CallKind.TOOLS, False, None)
    assert UnheldQueue.of(Unheld("q", CallKind.TOOLS, "why")) == UnheldQueue(queue="q", kind=CallKind.TOOLS, why="why")
