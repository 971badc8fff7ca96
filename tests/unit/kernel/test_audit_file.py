"""An exported audit: whatever is done to its bytes shows."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from backstay.kernel.audit import GENESIS, AuditHead
from backstay.kernel.audit_file import Flaw, Section, hashed, head_of, line_of, object_of, read, written

from .trails import Stamp, trail


def family() -> bytes:
    """A run, the runs that it started, and one that one of these started."""
    parts = (
        trail("top", then=("first", "second")),
        trail("first", then=("deep",), after="top", records=1),
        trail("deep", after="first", records=0),
        trail("second", after="top", records=2, closed=False),
    )
    return b"".join(written(one, Stamp()) for one in parts)


def sections(data: bytes) -> list[Section]:
    found = read(data)
    assert not isinstance(found, Flaw), found
    return found


def flaw(data: bytes) -> Flaw:
    found = read(data)
    assert isinstance(found, Flaw)
    return found


def edited(line: int, change: Mapping[str, Any], records: int = 3, *, rehash: bool = False) -> bytes:
    """A file with a line changed, and hashed anew where the forger knows how."""
    lines = written(trail(records=records), Stamp()).splitlines(keepends=True)
    value = {**json.loads(lines[line].decode("utf-8", "surrogatepass")), **change}
    value = {key: kept for key, kept in value.items() if kept is not ...}
    if rehash:
        value["hash"] = hashed({key: kept for key, kept in value.items() if key != "hash"})
    lines[line] = line_of(value)
    return b"".join(lines)


def test_a_file_is_read_as_it_was_written() -> None:
    [section] = sections(written(trail(), None))
    assert section.trail == trail()
    assert section.claim is None


def test_a_signed_file_names_key_and_signature() -> None:
    [section] = sections(written(trail(), Stamp()))
    assert section.claim is not None
    assert (section.claim.key, section.claim.public) == ("2026a", "cHVibGlj")
    assert section.claim.signature == Stamp().sign(section.claim.signed)


def test_what_is_signed_changes_with_all_that_the_first_line_says() -> None:
    claims = [sections(written(one, Stamp()))[0].claim for one in (trail(), trail("other"), trail(closed=False))]
    assert len({claim.signed for claim in claims if claim}) == 3


def test_a_file_of_a_run_without_records_is_whole() -> None:
    [section] = sections(written(trail(records=0), Stamp()))
    assert section.trail.head == AuditHead(0, GENESIS)


def test_records_may_begin_where_earlier_ones_are_gone() -> None:
    whole = trail(records=4)
    first = AuditHead(2, whole.records[1]["hash"])
    late = replace(whole, start=first, records=whole.records[2:])
    [section] = sections(written(late, None))
    assert (section.trail.start, section.trail.head) == (first, whole.head)


def test_the_runs_that_a_run_started_follow_it() -> None:
    found = sections(family())
    assert [one.trail.run_id for one in found] == ["top", "first", "deep", "second"]


@pytest.mark.parametrize("at", range(4))
def test_a_dropped_section_is_found(at: int) -> None:
    parts = list(split(family()))
    assert isinstance(read(b"".join(parts[:at] + parts[at + 1 :])), Flaw)


@pytest.mark.parametrize("at", range(5))
def test_an_added_section_is_found(at: int) -> None:
    parts = list(split(family()))
    parts.insert(at, written(trail("another"), Stamp()))
    assert isinstance(read(b"".join(parts)), Flaw)


def test_a_swapped_section_is_found() -> None:
    first, second, third, fourth = split(family())
    found = flaw(first + fourth + second + third)
    assert (found.line, found.problem) == (6, "the run that must follow here is another one, or none")


def split(data: bytes) -> Iterator[bytes]:
    part = b""
    for line in data.splitlines(keepends=True):
        if b'"schema"' in line and part:
            yield part
            part = b""
        part += line
    yield part


def test_a_changed_record_is_named() -> None:
    assert flaw(edited(2, {"at": "2025-01-01T00:00:00.000Z"})) == Flaw(
        3, "the record was changed after it was written", 2
    )


def test_a_dropped_record_is_named() -> None:
    lines = written(trail(), None).splitlines(keepends=True)
    assert flaw(b"".join(lines[:2] + lines[3:])) == Flaw(3, "the sequence has a gap or a repetition", 2)


def test_a_cut_tail_is_named() -> None:
    lines = written(trail(), None).splitlines(keepends=True)
    assert flaw(b"".join(lines[:-1])) == Flaw(5, "the file ends here, and more must follow")
    assert flaw(b"".join(lines[:-2])) == Flaw(4, "the file ends here, and more must follow", 3)
    assert flaw(b"".join(lines)[:-1]).line == 5


def test_a_shorter_trail_with_another_head_at_its_end_is_found() -> None:
    lines = written(trail(), None).splitlines(keepends=True)
    head = json.loads(lines[2].decode("utf-8", "surrogatepass"))["hash"]
    assert isinstance(read(b"".join([*lines[:3], line_of({"head": head, "records": 2})])), Flaw)


def test_nothing_at_all_is_no_file() -> None:
    assert flaw(b"") == Flaw(1, "the file ends here, and more must follow")
    assert flaw(b"no end").problem == "the last line has no end"
    assert flaw(written(trail(), None) + b"more").problem == "the last line has no end"


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "backstay.audit/2"},
        {"run_id": 7},
        {"run_id": ...},
        {"records": "3"},
        {"records": True},
        {"records": -1},
        {"head": None},
        {"start": 7},
        {"start": {"records": 0}},
        {"executions": 1},
        {"executions": [1]},
        {"then": [None]},
        {"after": 5},
        {"hash": 5},
    ],
)
def test_a_first_line_that_cannot_be_one_is_refused_even_with_a_hash_that_fits(change: dict[str, Any]) -> None:
    assert flaw(edited(0, change, rehash="hash" not in change)).line == 1


def test_a_key_without_its_public_part_leaves_a_claim_that_holds_for_nobody() -> None:
    [section] = sections(edited(0, {"public": ...}, rehash=True))
    assert section.claim is not None
    assert section.claim.public == "None"


@pytest.mark.parametrize(
    "change", [{"records": 2}, {"head": GENESIS}, {"more": 1}, {"records": ...}, {"signature": ...}]
)
def test_a_last_line_that_does_not_fit_the_records_is_found(change: dict[str, Any]) -> None:
    assert flaw(edited(4, change)) == Flaw(5, "the head is not that of the records")


def test_a_signature_where_the_first_line_names_no_key_is_found() -> None:
    lines = written(trail(), None).splitlines(keepends=True)
    last = {**json.loads(lines[-1]), "signature": "eA=="}
    assert isinstance(read(b"".join([*lines[:-1], line_of(last)])), Flaw)


@pytest.mark.parametrize("line", range(5))
@pytest.mark.parametrize("other", [b" {}", b"[]", b"7", b"\xff", b"", b'{"a":NaN}', b"[" * 100_000, b'{"a":1,"a":1}'])
def test_a_line_in_place_of_another_is_found(line: int, other: bytes) -> None:
    lines = written(trail(), Stamp()).split(b"\n")
    lines[line] = other
    assert flaw(b"\n".join(lines)).line == line + 1


@pytest.mark.parametrize(
    ("spelled", "fits"),
    [
        (b'{"a":1}', True),
        (b'{"a": 1}', False),
        (b'{"b":1,"a":1}', False),
        (b'{"a":"\\u001f"}', True),
        (b'{"a":"\\u001F"}', False),
        (b'{"a":"\\u0061"}', False),
        (b'{"a":-0}', False),
        (b'{"a":1e5}', False),
    ],
)
def test_a_line_has_one_spelling(spelled: bytes, fits: bool) -> None:
    assert (object_of(spelled) is not None) is fits


def test_a_head_is_read_from_its_two_values() -> None:
    assert head_of({"records": 2, "head": "sha256:x", "more": 1}) == AuditHead(2, "sha256:x")


def test_a_beginning_that_was_cut_is_found_also_between_two_runs() -> None:
    lines = family().splitlines(keepends=True)
    for cut in range(1, len(lines)):
        assert isinstance(read(b"".join(lines[cut:])), Flaw), cut
