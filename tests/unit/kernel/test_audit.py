"""The audit chain, record by record."""

from typing import Any

import pytest

from backstay.kernel.audit import GENESIS, AuditHead, Broken, canonical, verify

HASH = "sha256:1c748dbc8572b84aa76c9a28da07be6ab29004aea8264df18f2a8a5f8df43379"
AT = "2026-01-01T00:00:00.000Z"


@pytest.fixture
def records() -> list[dict[str, Any]]:
    head, written = AuditHead(), list[dict[str, Any]]()
    for number in range(3):
        head, record = head.chained(AT, "paused", {"by": "ann", "number": number})
        written.append(record)
    return written


def test_an_empty_chain_leads_to_where_it_starts() -> None:
    assert verify([]) == AuditHead(0, GENESIS)
    assert verify([], AuditHead(7, "sha256:7")) == AuditHead(7, "sha256:7")


def test_a_chain_links_each_record_to_the_one_before(records: list[dict[str, Any]]) -> None:
    assert [record["seq"] for record in records] == [1, 2, 3]
    assert [record["prev"] for record in records] == [GENESIS, records[0]["hash"], records[1]["hash"]]
    assert verify(records) == AuditHead(3, records[2]["hash"])


def test_the_hash_of_a_record_is_fixed_for_good() -> None:
    # A change of the spelling would break every archived chain.
    head, record = AuditHead().chained(
        AT, "killed", {"by": "änn \ud800", "n": 1, "list": [None, True, {"b": 1, "a": 2}]}
    )
    assert canonical(record["facts"]) == '{"by":"änn \ud800","list":[null,true,{"a":2,"b":1}],"n":1}'
    assert head.head == record["hash"] == HASH


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"seq": 3}, "the sequence has a gap or a repetition"),
        ({"seq": None}, "the sequence has a gap or a repetition"),
        ({"prev": GENESIS}, "the record does not link to the one before it"),
        ({"facts": {"by": "bob", "number": 1}}, "the record was changed after it was written"),
        ({"at": "2025-01-01T00:00:00.000Z"}, "the record was changed after it was written"),
        ({"hash": "sha256:0"}, "the record was changed after it was written"),
        ({"hash": None}, "the record was changed after it was written"),
        ({"more": 1}, "the record was changed after it was written"),
        ({"seq": True + 1.0}, "the record was changed after it was written"),
        ({"facts": {"number": float("nan")}}, "the record was changed after it was written"),
        ({"facts": {"number": {1, 2}}}, "the record was changed after it was written"),
    ],
)
def test_a_changed_record_is_named_with_what_is_wrong(
    records: list[dict[str, Any]], change: dict[str, Any], problem: str
) -> None:
    assert verify([records[0], {**records[1], **change}, records[2]]) == Broken(2, problem)


def test_a_record_that_was_rehashed_after_a_change_breaks_the_next(records: list[dict[str, Any]]) -> None:
    _, forged = AuditHead(1, records[0]["hash"]).chained(AT, "paused", {"by": "bob"})
    found = verify([records[0], forged, records[2]])
    assert found == Broken(3, "the record does not link to the one before it")


def test_nan_and_infinity_cannot_be_chained() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        canonical({"usd": float("inf")})
