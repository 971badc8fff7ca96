"""Audit records: facts in a hash chain, so that a changed, dropped or inserted record shows."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

GENESIS = "sha256:" + "0" * 64


def canonical(facts: Mapping[str, Any]) -> str:
    """Returns the one spelling of a record that is hashed: sorted keys, no spaces.

    Records hold strings, integers, booleans, null, lists and objects with ASCII keys, never a float; on those this is
    RFC 8785.
    """
    return json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The end of a chain: the number of its records and the hash of the last one."""

    records: int = 0
    head: str = GENESIS

    def chained(self, at: str, event: str, facts: Mapping[str, Any]) -> tuple["AuditHead", dict[str, Any]]:
        """Returns the head after one more record, and that record, linked to this head; `at` is RFC 3339 in UTC."""
        record = {"seq": self.records + 1, "at": at, "event": event, "facts": dict(facts), "prev": self.head}
        record["hash"] = _hash(record)
        return AuditHead(self.records + 1, record["hash"]), record


@dataclass(frozen=True, slots=True)
class Broken:
    """The first record that does not fit the chain, and why."""

    seq: int
    problem: str


def verify(records: Iterable[Mapping[str, Any]], start: AuditHead | None = None) -> AuditHead | Broken:
    """Checks records from `start` on; returns the head that they lead to, or the first that does not fit."""
    head = start or AuditHead()
    for record in records:
        expected = head.records + 1
        if record.get("seq") != expected:
            return Broken(expected, "the sequence has a gap or a repetition")
        if record.get("prev") != head.head:
            return Broken(expected, "the record does not link to the one before it")
        body = {key: value for key, value in record.items() if key != "hash"}
        try:
            intact = record.get("hash") == _hash(body)
        except (TypeError, ValueError):  # no record that was written here holds what cannot be spelled
            intact = False
        if not intact:
            return Broken(expected, "the record was changed after it was written")
        head = AuditHead(expected, str(record["hash"]))
    return head


def _hash(record: Mapping[str, Any]) -> str:
    return "sha256:" + hashlib.sha256(canonical(record).encode("utf-8", "surrogatepass")).hexdigest()
