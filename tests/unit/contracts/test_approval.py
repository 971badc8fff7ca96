"""What people are shown of a pending approval, and how little of it a memo keeps."""

import json
from typing import Any

import pytest

from backstay.contracts.approval import (
    MEMO_APPROVALS,
    MEMO_ARGUMENTS,
    MEMO_BYTES,
    MEMO_NAMES,
    Approved,
    AskingRun,
    PendingApproval,
    memo_of,
)
from backstay.kernel.approval import Approval, ApprovalKind
from backstay.kernel.meter import Exposed

RUN = AskingRun(
    run_id="refund-A17",
    agent="clerk",
    tenant="acme",
    requested_by="eve",
    taint=["untrusted"],
    spent_usd="0.0132",
    approved=1,
    approved_before=[Approved(approval_id="apr_0", call="pay(amount=4)", answered_by=["cem"])],
)


def pending(
    number: int = 1,
    args: dict[str, Any] | None = None,
    reasons: tuple[str, ...] = (),
    members: tuple[str, ...] = ("ann", "bob"),
    run: AskingRun | None = None,
) -> PendingApproval:
    approval = Approval(
        approval_id=f"apr_{number}",
        kind=ApprovalKind.ACTION,
        call_id="1-0",
        tool="pay",
        digest="sha256:d",
        groups=("finance:2", "legal"),
        members={"finance": members, "legal": ("cem",)},
        rules=("large-payments",),
        reasons=reasons,
        requested_at_ms=1_767_225_600_001,
        expires_at_ms=1_767_312_000_999,
        exposure={"refunds_usd": Exposed(0, 50_000)},
    )
    return PendingApproval.of(approval.voted("ann"), args or {"amount": 5}, run)


def test_a_pending_approval_shows_everything_that_a_person_decides_by() -> None:
    assert pending(reasons=("above 100",), run=RUN).model_dump() == {
        "approval_id": "apr_1",
        "run_id": "refund-A17",
        "agent": "clerk",
        "tenant": "acme",
        "requested_by": "eve",
        "taint": ["untrusted"],
        "spent_usd": "0.0132",
        "approved": 1,
        "approved_before": [{"approval_id": "apr_0", "call": "pay(amount=4)", "answered_by": ["cem"]}],
        "kind": "action",
        "tool": "pay",
        "args": {"amount": 5},
        "digest": "sha256:d",
        "groups": ["finance", "legal"],
        "required": 3,
        "answered_by": ["ann"],
        "approvers": ["bob", "cem"],
        "rules": ["large-payments"],
        "reasons": ["above 100"],
        "requested_at": "2026-01-01T00:00:00.001Z",
        "expires_at": "2026-01-02T00:00:00.999Z",
        "cut": [],
        "exposure": {"refunds_usd": {"before": "0", "after": "5", "limit": None}},
        "grantable": None,
        "sources": {},
        "copied": {},
        "within": {},
    }


def test_a_small_approval_stands_in_the_memo_as_it_is() -> None:
    assert memo_of([pending()]) == [pending().model_dump()]
    assert memo_of([]) == []


@pytest.mark.parametrize("text", ["x" * 5_000, "é" * 5_000, "😀" * 5_000])
def test_of_long_arguments_the_memo_keeps_the_short_ones_whole_and_says_what_it_cut(text: str) -> None:
    (entry,) = memo_of([pending(args={"body": text, "amount": 120, "to": "a17"})])
    assert entry["cut"] == ["args.body"]
    assert (entry["args"]["amount"], entry["args"]["to"]) == (120, "a17")
    assert "5,000 characters, sha256:" in entry["args"]["body"]
    assert len(json.dumps(entry["args"], ensure_ascii=False).encode()) <= MEMO_ARGUMENTS


def test_more_arguments_than_fit_are_left_out_by_name_the_longest_first() -> None:
    args = {f"argument{number}": "x" * 300 for number in range(30)} | {"amount": 5}
    (entry,) = memo_of([pending(args=args)])
    assert entry["args"]["amount"] == 5
    assert 1 < len(entry["args"]) < 31
    assert len(json.dumps(entry["args"]).encode()) <= MEMO_ARGUMENTS
    assert len(entry["cut"]) == MEMO_NAMES


@pytest.mark.parametrize("character", ["\u202e", "\u200b", "\u3164", "\x1b", "\x07", "\U000e0041"])
def test_no_character_in_the_memo_steers_whoever_looks_at_it(character: str) -> None:
    odd = f"a{character}b"
    asked = pending(args={odd: 1, "to": odd, "deep": [odd]}, reasons=(odd,), members=("ann", odd))
    asked = asked.model_copy(update={"tool": odd})
    (entry,) = memo_of([asked])
    assert character not in json.dumps(entry, ensure_ascii=False)
    assert {"args.to", "args.deep", "tool", "reasons", "approvers"} <= set(entry["cut"])


def test_ordinary_text_stands_in_the_memo_as_it_is() -> None:
    args = {"body": 'Dear Ann,\n\n"C:\\users"\tis  gone.', "names": ["größe", "安"]}
    (entry,) = memo_of([pending(args=args)])
    assert (entry["args"], entry["cut"]) == (args, [])


def test_what_was_approved_before_stands_in_the_memo_as_a_number() -> None:
    (entry,) = memo_of([pending(run=RUN)])
    assert (entry["approved"], entry["approved_before"], entry["cut"]) == (1, [], ["approved_before"])


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
