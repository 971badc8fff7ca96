"""Trails as runs leave them, and a seal for files."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from backstay.kernel.audit import AuditHead
from backstay.kernel.audit_file import Trail
from backstay.kernel.event import Event

AT = "2026-01-01T00:00:00.000Z"


@dataclass(frozen=True)
class Stamp:
    """Signs with a digest: the file does not know what a signature is worth."""

    key: str = "2026a"
    public: str = "cHVibGlj"

    def sign(self, data: bytes) -> str:
        return base64.b64encode(hashlib.sha256(data).digest()).decode()


def trail(run_id: str = "refund-A17", records: int = 3, **changes: Any) -> Trail:
    head, found = AuditHead(), list[Mapping[str, Any]]()
    for number in range(records):
        facts = {"by": "änn \ud800", "n": number, "reason": None, "list": [True, {"b": 1, "a": "ctl \x1f"}]}
        head, record = head.chained(AT, "paused", facts)
        found.append(record)
    return replace(Trail(run_id, "AgentRun", head, found, executions=("e-1",), closed=True), **changes)


def recorded(*events: Event) -> list[dict[str, Any]]:
    """The records of events, one a second."""
    head, records = AuditHead(), list[dict[str, Any]]()
    for second, event in enumerate(events):
        head, record = head.chained(f"2026-01-01T00:00:{second:02d}.000Z", event.name(), event.facts())
        records.append(record)
    return records
