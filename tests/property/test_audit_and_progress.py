"""The audit chain shows whatever was done to it; progress counts as a person would."""

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from backstay.kernel.audit import AuditHead, Broken, canonical, verify
from backstay.kernel.events import Event
from backstay.kernel.progress import LONGEST_CYCLE, REMEMBERED, Progress

from .strategies import EVENTS

pytestmark = pytest.mark.soak

Records = list[dict[str, Any]]
SCALARS = st.none() | st.booleans() | st.integers() | st.text()
FACTS = st.dictionaries(st.text("abc", min_size=1), SCALARS | st.lists(SCALARS, max_size=3), max_size=4)


def chain(facts: list[dict[str, Any]]) -> tuple[AuditHead, Records]:
    head, records = AuditHead(), Records()
    for number, fact in enumerate(facts):
        head, record = head.chained(f"2026-01-01T00:00:{number:02d}.000Z", "event", fact)
        records.append(record)
    return head, records


CHAINS = st.lists(FACTS, min_size=1, max_size=8).map(chain)


@given(CHAINS, st.data())
def test_an_untouched_chain_leads_to_its_head_from_any_record_on(
    chained: tuple[AuditHead, Records], data: st.DataObject
) -> None:
    head, records = chained
    stored: Records = json.loads(json.dumps(records))
    middle = data.draw(st.integers(0, len(records)))
    start = verify(stored[:middle])
    assert isinstance(start, AuditHead)
    assert start.records == middle
    assert verify(stored[middle:], start) == verify(stored) == head


@given(st.lists(EVENTS, max_size=10))
def test_every_event_is_chained_as_json_would_keep_it(events: list[Event]) -> None:
    head, records = AuditHead(), Records()
    for event in events:
        head, record = head.chained("2026-01-01T00:00:00.000Z", event.name(), event.facts())
        records.append(record)
    assert verify(json.loads(json.dumps(records))) == head


@given(CHAINS, st.data())
def test_a_changed_record_is_found_where_it_stands(chained: tuple[AuditHead, Records], data: st.DataObject) -> None:
    _, records = chained
    at = data.draw(st.integers(0, len(records) - 1))
    key = data.draw(st.sampled_from(["seq", "at", "event", "facts", "prev", "hash", "added"]))
    value = data.draw(FACTS | SCALARS | st.floats() | st.sampled_from([float("nan"), float("inf"), [float("nan")]]))
    changed = {**records[at], key: value}
    assume(canonical_or_none(changed) != canonical(records[at]))
    broken = verify([*records[:at], changed, *records[at + 1 :]])
    assert isinstance(broken, Broken)
    assert broken.seq == at + 1


def canonical_or_none(record: dict[str, Any]) -> str | None:
    """The record's spelling, or None where it has none."""
    try:
        return canonical(record)
    except ValueError:
        return None


@given(CHAINS, st.data())
def test_a_record_without_one_of_its_fields_is_found(chained: tuple[AuditHead, Records], data: st.DataObject) -> None:
    _, records = chained
    at = data.draw(st.integers(0, len(records) - 1))
    gone = data.draw(st.sampled_from(sorted(records[at])))
    cut = {key: value for key, value in records[at].items() if key != gone}
    broken = verify([*records[:at], cut, *records[at + 1 :]])
    assert isinstance(broken, Broken)
    assert broken.seq == at + 1


@given(CHAINS, st.data())
def test_a_dropped_record_is_found(chained: tuple[AuditHead, Records], data: st.DataObject) -> None:
    head, records = chained
    at = data.draw(st.integers(0, len(records) - 1))
    found = verify([*records[:at], *records[at + 1 :]])
    is_last = at == len(records) - 1
    assert isinstance(found, AuditHead if is_last else Broken)
    assert found != head


@given(CHAINS, st.data())
def test_swapped_records_are_found(chained: tuple[AuditHead, Records], data: st.DataObject) -> None:
    _, records = chained
    assume(len(records) > 1)
    one, other = data.draw(st.lists(st.integers(0, len(records) - 1), min_size=2, max_size=2, unique=True))
    records = list(records)
    records[one], records[other] = records[other], records[one]
    assert isinstance(verify(records), Broken)


@given(CHAINS, FACTS, st.data())
def test_a_record_that_was_written_anew_breaks_the_chain_behind_it(
    chained: tuple[AuditHead, Records], facts: dict[str, Any], data: st.DataObject
) -> None:
    head, records = chained
    at = data.draw(st.integers(0, len(records) - 1))
    before = verify(records[:at])
    assert isinstance(before, AuditHead)
    _, forged = before.chained("2027-01-01T00:00:00.000Z", "event", facts)
    found = verify([*records[:at], forged, *records[at + 1 :]])
    if at == len(records) - 1:
        assert found != head
    else:
        assert isinstance(found, Broken)
        assert found.seq == at + 2


@given(CHAINS, FACTS, st.data())
def test_an_inserted_record_is_found_even_if_it_links_to_the_one_before(
    chained: tuple[AuditHead, Records], facts: dict[str, Any], data: st.DataObject
) -> None:
    head, records = chained
    at = data.draw(st.integers(0, len(records)))
    before = verify(records[:at])
    assert isinstance(before, AuditHead)
    _, forged = before.chained("2026-01-01T00:00:00.000Z", "forged", facts)
    found = verify([*records[:at], forged, *records[at:]])
    assert isinstance(found, AuditHead if at == len(records) else Broken)
    assert found != head


CYCLES = st.sampled_from(["a", "ab", "aab", "abc", "abcd", "aabb", "abcde"])
REPEATED = st.builds(
    lambda first, cycle, times: first + cycle * times, st.text("abcde", max_size=6), CYCLES, st.integers(0, 5)
)


def naive_repetitions(outcomes: list[str]) -> int:
    """Tries every cycle and every count."""
    return max(
        count
        for length in range(1, LONGEST_CYCLE + 1)
        for count in range(len(outcomes) + 1)
        if count * length <= len(outcomes) and outcomes[len(outcomes) - count * length :] == outcomes[-length:] * count
    )


@given(st.lists(st.sampled_from("aab"), max_size=40) | REPEATED)
def test_repetitions_are_counted_as_one_would_by_trying(outcomes: str | list[str]) -> None:
    progress = Progress()
    for outcome in outcomes:
        progress = progress.noted([outcome])
    assert progress.repetitions == naive_repetitions(list(outcomes))


@given(st.lists(st.sampled_from("abcd"), max_size=12))
def test_calls_that_bring_nothing_new_are_counted_from_the_newest_back(outcomes: list[str]) -> None:
    progress = Progress()
    for outcome in outcomes:
        progress = progress.noted([outcome])
    firsts = [position for position, outcome in enumerate(outcomes) if outcome not in outcomes[:position]]
    assert progress.stale == len(outcomes) - 1 - max(firsts, default=-1)


@given(st.lists(st.sampled_from("ab"), max_size=9), st.lists(st.sampled_from("ab"), max_size=9))
def test_only_the_last_outcomes_are_remembered(first: list[str], last: list[str]) -> None:
    outcomes = [*first, *["c"] * (REMEMBERED - 5), *last]
    progress = Progress()
    for outcome in outcomes:
        progress = progress.noted([outcome])
    assert progress.decisions == tuple((outcome,) for outcome in outcomes[-REMEMBERED:])
