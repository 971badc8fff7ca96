"""A pending approval as people see it, and what answering it returns."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from backstay.kernel.approval import Approval, names_of

from .problems import Contract

MEMO_KEY = "backstay.approvals"
MEMO_ARGUMENTS = 1_000
MEMO_APPROVALS = 20
MEMO_BYTES = 32_000


class PendingApproval(Contract):
    """One open approval, with everything a person needs to decide; times are RFC 3339 in UTC."""

    approval_id: str
    kind: Literal["action", "outcome_unknown", "question"]
    tool: str
    args: dict[str, Any]
    digest: str
    groups: list[str]
    required: int
    answered_by: list[str]
    rules: list[str]
    reasons: list[str]
    requested_at: str
    expires_at: str

    @classmethod
    def of(cls, approval: Approval, args: dict[str, Any]) -> "PendingApproval":
        """Returns the kernel's approval together with the arguments it is about."""
        return cls(
            approval_id=approval.approval_id,
            kind=approval.kind.value,
            tool=approval.tool,
            args=args,
            digest=approval.digest,
            groups=names_of(approval.groups),
            required=approval.required,
            answered_by=list(approval.answered_by),
            rules=list(approval.rules),
            reasons=list(approval.reasons),
            requested_at=_stamp(approval.requested_at_ms),
            expires_at=_stamp(approval.expires_at_ms),
        )


class Notice(Contract):
    """The message a webhook gets about an approval; `end` says how it closed."""

    event: Literal["opened", "expiring", "closed"]
    run_id: str
    agent: str
    tenant: str
    approval: PendingApproval
    end: str | None = None


class VoteResult(Contract):
    """The answer to approve, deny and answer; `open` where more people are needed."""

    approval_id: str
    state: Literal["closed", "open"]
    answered_by: list[str]


class EditResult(Contract):
    """The answer to edit: the verdict over the edited call, and the approval it now waits for, if any."""

    approval_id: str
    outcome: Literal["allow", "deny", "require_approval"]
    replaced_by: str | None


def memo_of(pending: Sequence[PendingApproval]) -> list[dict[str, Any]]:
    """Returns open approvals small enough for a memo: at most 20, arguments cut to 1 kB, 32 kB in all."""
    entries: list[dict[str, Any]] = []
    room = MEMO_BYTES
    for approval in pending[:MEMO_APPROVALS]:
        entry = approval.model_dump()
        text = json.dumps(entry["args"], ensure_ascii=False)
        if len(text.encode()) > MEMO_ARGUMENTS:
            entry["args"] = {"cut": text.encode()[:MEMO_ARGUMENTS].decode("utf-8", "ignore")}
        entry["reasons"] = [reason[:200] for reason in entry["reasons"][:5]]
        room -= len(json.dumps(entry, ensure_ascii=False).encode())
        if room < 0:
            break
        entries.append(entry)
    return entries


def _stamp(milliseconds: int) -> str:
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
