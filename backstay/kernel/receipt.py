"""Receipts: what is known of one call that was made, for somebody who sees nothing else of the run.

They follow from the audit's records alone, so that whoever has these can make them again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from .approval import ApprovalEnd, ApprovalKind
from .audit_file import Claim, Signer, line_of, object_of
from .events import (
    Admitted,
    ApprovalEnded,
    ApprovalOpened,
    ApprovalVoted,
    CallEnded,
    CallHeld,
    CallJudged,
    CallReleased,
)
from .money import format_usd

SCHEMA = "backstay.receipt/1"

Facts = Mapping[str, Any]


@dataclass(slots=True)
class _Seen:
    """Collects the calls that the records have told of so far."""

    admitted: Facts = field(default_factory=dict[str, Any])
    verdicts: dict[str, Facts] = field(default_factory=dict[str, Facts])
    held: dict[str, str] = field(default_factory=dict[str, str])
    asked: dict[str, Facts] = field(default_factory=dict[str, Facts])
    people: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    ends: dict[str, str] = field(default_factory=dict[str, str])

    def takes(self, record: Facts) -> None:
        """Takes down what a record tells."""
        event, facts = record["event"], record["facts"]
        if event == Admitted.name():
            self.admitted = facts
        elif event == CallJudged.name():
            self.verdicts[facts["call_id"]] = facts["verdict"]
        elif event == CallHeld.name():
            self.held.setdefault(facts["call_id"], record["at"])
        elif event == CallReleased.name():
            self.held.pop(facts["call_id"], None)
        elif event == ApprovalOpened.name():
            self.asked[facts["approval"]["approval_id"]] = facts["approval"]
        elif event == ApprovalVoted.name():
            self.people.setdefault(facts["approval_id"], []).append(facts["by"])
        elif event == ApprovalEnded.name():
            self._ended(facts)

    def _ended(self, facts: Facts) -> None:
        one = facts["approval_id"]
        self.ends[one] = facts["end"]
        people = self.people.setdefault(one, [])
        if facts["by"] is not None and facts["by"] not in people:
            people.append(facts["by"])

    def answers(self, call_id: str, kinds: tuple[str, ...], end: ApprovalEnd) -> list[str]:
        """Returns the people who answered the approvals of a call that ended in one way."""
        ended = [
            one
            for one, asked in self.asked.items()
            if asked["call_id"] == call_id and asked["kind"] in kinds and self.ends.get(one) == end.value
        ]
        return [person for one in ended for person in self.people.get(one, [])]


_TEXTS = ("run_id", "call_id", "tool", "outcome", "at", "key", "public")
_RELEASING = (ApprovalKind.ACTION.value, ApprovalKind.EXPOSURE.value)
_TELLING = (ApprovalKind.OUTCOME_UNKNOWN.value, ApprovalKind.QUESTION.value)


def receipts_of(run_id: str, records: Iterable[Facts]) -> list[dict[str, Any]]:
    """Returns a receipt for each call that was made, in the order of their ends; none is signed yet."""
    seen = _Seen()
    found: list[dict[str, Any]] = []
    for record in records:
        seen.takes(record)
        if record["event"] == CallEnded.name() and record["facts"]["call_id"] in seen.held:
            found.append(_receipt(run_id, record, seen))
    return found


def _receipt(run_id: str, record: Facts, seen: _Seen) -> dict[str, Any]:
    facts = record["facts"]
    call_id = facts["call_id"]
    verdict = seen.verdicts.get(call_id, {})
    return {
        "schema": SCHEMA,
        "run_id": run_id,
        "agent": seen.admitted.get("agent"),
        "tenant": seen.admitted.get("tenant"),
        "requested_by": seen.admitted.get("requested_by"),
        "call_id": call_id,
        "tool": facts["tool"],
        "digest": verdict.get("digest"),
        "rules": list(verdict.get("rules", ())),
        "policy_version": verdict.get("policy_version"),
        "approved_by": seen.answers(call_id, _RELEASING, ApprovalEnd.APPROVED),
        "grant": verdict.get("grant"),
        "began": seen.held[call_id],
        "outcome": facts["outcome"],
        "outcome_told_by": seen.answers(call_id, _TELLING, ApprovalEnd.ANSWERED),
        "usd": format_usd(facts["usd"]),
        "at": record["at"],
        "record": {"seq": record["seq"], "hash": record["hash"]},
    }


def signed(receipt: Facts, signer: Signer) -> bytes:
    """Returns a receipt as a line that can be verified alone."""
    body = {**receipt, "key": signer.key, "public": signer.public}
    return line_of({**body, "signature": signer.sign(line_of(body)[:-1])})


def read_receipt(line: bytes) -> tuple[dict[str, Any], Claim] | None:
    """Reads the line of a receipt, without its end; None where it is none, or was changed.

    The claim is to be checked: only then does the receipt stand as it was written.
    """
    found = object_of(line)
    if found is None or found.get("schema") != SCHEMA or not _says_all(found):
        return None
    body = {key: value for key, value in found.items() if key != "signature"}
    claim = Claim(str(found["key"]), str(found["public"]), line_of(body)[:-1], str(found.get("signature")))
    return found, claim


def _says_all(found: Facts) -> bool:
    """Tells whether an object says what every receipt says; whoever has a key can sign anything."""
    people = found.get("approved_by")
    named = isinstance(people, list) and all(isinstance(one, str) for one in cast("list[object]", people))
    texts = all(isinstance(found.get(name), str) for name in _TEXTS)
    return named and texts and found.keys() >= {"tenant", "requested_by"}
