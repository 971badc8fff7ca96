"""What people are shown of a pending approval, and how little of it a memo keeps."""

import json
from typing import Any

import pytest

from backstay.contracts.approval import MEMO_APPROVALS, MEMO_ARGUMENTS, MEMO_BYTES, PendingApproval, memo_of
from backstay.kernel.approval import Approval, ApprovalKind


def pending(number: int = 1, args: dict[str, Any] | None = None, reasons: tuple[str, ...] = ()) -> PendingApproval:
    approval = Approval(
        approval_id=f"apr_{number}",
        kind=ApprovalKind.ACTION,
        call_id="1-0",
        tool="pay",
        digest="sha256:d",
        groups=("finance:2", "legal"),
        members={"finance": ("ann", "bob"), "legal": ("cem",)},
        rules=("large-payments",),
        reasons=reasons,
        requested_at_ms=1_767_225_600_001,
        expires_at_ms=1_767_312_000_999,
    )
    return PendingApproval.of(approval.voted("ann"), args or {"amount": 5})


def test_a_pending_approval_shows_everything_that_a_person_decides_by() -> None:
    assert pending(reasons=("above 100",)).model_dump() == {
        "approval_id": "apr_1",
        "kind": "action",
        "tool": "pay",
        "args": {"amount": 5},
        "digest": "sha256:d",
        "groups": ["finance", "legal"],
        "required": 3,
        "answered_by": ["ann"],
        "rules": ["large-payments"],
        "reasons": ["above 100"],
        "requested_at": "2026-01-01T00:00:00.001Z",
        "expires_at": "2026-01-02T00:00:00.999Z",
    }


def test_a_small_approval_stands_in_the_memo_as_it_is() -> None:
    assert memo_of([pending()]) == [pending().model_dump()]
    assert memo_of([]) == []


@pytest.mark.parametrize("text", ["x" * 5_000, "é" * 5_000, "😀" * 5_000])
def test_long_arguments_are_cut_at_a_whole_character(text: str) -> None:
    (entry,) = memo_of([pending(args={"body": text})])
    cut = entry["args"]["cut"]
    assert MEMO_ARGUMENTS - 4 < len(cut.encode()) <= MEMO_ARGUMENTS
    assert json.dumps({"body": text}, ensure_ascii=False).startswith(cut)


def test_arguments_of_exactly_the_limit_are_not_cut() -> None:
    args = {"body": "x" * (MEMO_ARGUMENTS - len('{"body": ""}'))}
    assert memo_of([pending(args=args)])[0]["args"] == args


def test_the_memo_keeps_few_reasons_and_short_ones() -> None:
    (entry,) = memo_of([pending(reasons=tuple(str(number) * 500 for number in range(9)))])
    assert entry["reasons"] == [str(number) * 200 for number in range(5)]


def test_the_memo_keeps_the_oldest_twenty() -> None:
    entries = memo_of([pending(number) for number in range(30)])
    assert [entry["approval_id"] for entry in entries] == [f"apr_{number}" for number in range(MEMO_APPROVALS)]


def test_the_memo_stays_below_its_size_and_keeps_whole_entries() -> None:
    large = [pending(number, {"body": '"' * 2_000}, reasons=("é" * 500,) * 5) for number in range(20)]
    entries = memo_of(large)
    assert 0 < len(entries) < 20
    assert sum(len(json.dumps(entry, ensure_ascii=False).encode()) for entry in entries) <= MEMO_BYTES
    assert [entry["approval_id"] for entry in entries] == [f"apr_{number}" for number in range(len(entries))]
