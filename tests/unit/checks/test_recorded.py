"""What policy was asked is found again in the records of a run, as its history has it, or is said to be unknown."""

import importlib
import json
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from backstay import kernel
from backstay.checks.past_runs import Question
from backstay.checks.recorded import (
    AT_THE_BOUNDARY,
    BY_GRANT,
    EDITED,
    NO_WORDS,
    OTHER_VERSION,
    Recording,
    event_of,
    kinds,
    questions_of,
)
from backstay.contracts.history import RunRef
from backstay.contracts.policy import AuthorizeInput, Consent
from backstay.contracts.status import PageRequest
from backstay.errors import ArchiveError
from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind
from backstay.kernel.audit import AuditHead
from backstay.kernel.budget import Limits
from backstay.kernel.event import Event
from backstay.kernel.events import (
    Admitted,
    ApprovalEnded,
    ApprovalOpened,
    ApprovalVoted,
    CallEnded,
    CallHeld,
    CallJudged,
    CallOutcome,
    Counted,
    Decided,
    DecisionKind,
    Tainted,
    Uncounted,
)
from backstay.kernel.grant_events import GrantUsed
from backstay.kernel.ledger_period import Period
from backstay.kernel.meter import Bound
from backstay.kernel.origins import Origins
from backstay.kernel.stop import Thresholds
from backstay.kernel.verdict import Code, Outcome, Verdict
from workflows.run.record import Record

from .histories import past

ALL = PageRequest(limit=10_000)
WHOLE = ["archived", "asked", "budget_exhausted", "completed", "deadline", "delegated", "denied_beside", "equal_calls"]
WHOLE += ["killed", "paused"]
HELD_BACK = {"granted": {BY_GRANT}}
ALLOW, DENY, ASK = Outcome.ALLOW, Outcome.DENY, Outcome.REQUIRE_APPROVAL


def asked(question: Question) -> tuple[object, ...]:
    """A question without what only a history has: schemas of tools, wire ids of calls, the decision's digest."""
    given = question.given
    return (
        *(given.run_id, given.run_key, given.agent, given.tenant, given.requested_by, given.goal, given.version),
        *(given.facts, given.now, given.consents, given.bounds, given.counted, given.uncounted, given.origins),
        [(call.call_id, call.tool, call.arguments) for call in given.calls],
        [verdict.digest for verdict in question.verdicts],
    )


@pytest.mark.parametrize("name", ["approved", "no_progress", "odd_messages", *WHOLE, *HELD_BACK])
async def test_records_tell_what_the_history_tells(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, make = list[Record](), Record.__init__

    def noted(self: Record, *words: Any, **more: Any) -> None:
        make(self, *words, **more)
        kept.append(self)

    monkeypatch.setattr(Record, "__init__", noted)
    run = await past(name)
    [record] = kept
    known = run.questions[0].given
    records, items = (json.loads(json.dumps(page.items)) for page in (record.records(ALL), record.items(ALL)))
    found = questions_of(Recording(run.ref, known.run_key, known.agent, known.tenant, records, items))
    heard = [asked(one) for one in run.questions]
    assert [one for one in map(asked, (one for one in found if not one.unknown)) if one not in heard] == []
    assert {one.unknown for one in found if one.unknown} == HELD_BACK.get(name, set())
    if name in WHOLE:
        assert [asked(one) for one in found] == heard


@dataclass
class Evidence:
    """The records and the transcript of a run, as they grow; a second passes with each record."""

    records: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    items: list[Mapping[str, Any]] = field(default_factory=lambda: [{"kind": "goal", "text": "pay ann"}])
    head: AuditHead = field(default_factory=AuditHead)

    def happened(self, *events: Event) -> "Evidence":
        for event in events:
            at = f"2026-11-30T12:00:{len(self.records):02}.500Z"
            self.head, record = self.head.chained(at, event.name(), event.facts())
            self.records.append(json.loads(json.dumps(record)))
        return self

    def proposed(self, step: int, *arguments: str) -> "Evidence":
        calls = [{"call_id": f"{step}-{at}", "tool": "pay", "arguments": one} for at, one in enumerate(arguments)]
        self.items.append({"kind": "decision", "calls": calls})
        return self.happened(Decided(step, DecisionKind.CALLS, len(calls)))

    def questions(self, trouble: str = "") -> list[Question]:
        return questions_of(Recording(RunRef("run-1", "l"), "key", "clerk", "acme", self.records, self.items, trouble))


LIMITS = Limits(exposure={"paid": (Bound(1_000_000),)})
ADMITTED = Admitted("clerk", "sha256:a", "acme", "rita", "m", LIMITS, Thresholds(), None, 100)


def verdict(outcome: Outcome = ALLOW, **more: Any) -> Verdict:
    return Verdict(outcome, Code.PERMITTED, "d", "v", **more)


def judged(call: str, outcome: Outcome = ALLOW, **more: Any) -> CallJudged:
    return CallJudged(call, "pay", verdict(outcome, **more))


@pytest.fixture
def evidence() -> Evidence:
    return Evidence().happened(ADMITTED, Tainted("mail"))


def test_a_question_has_what_the_run_was_when_the_first_verdict_came(evidence: Evidence) -> None:
    evidence.proposed(1, '{"n": 1}', '{"n": 2}').happened(judged("1-0"), judged("1-1", DENY))
    evidence.happened(
        CallHeld("1-0", "pay", 1_000, exposure={"paid": 5}), CallEnded("1-0", "pay", CallOutcome.COMPLETED)
    )
    [first, second] = evidence.proposed(2, "{}").happened(judged("2-0")).questions()
    given = first.given
    assert (given.run_id, given.run_key, given.agent, given.tenant) == ("run-1", "key", "clerk", "acme")
    assert (given.requested_by, given.goal, given.version) == ("rita", "pay ann", "sha256:a")
    assert ([call.arguments for call in given.calls], given.facts.taint) == (['{"n": 1}', '{"n": 2}'], ["untrusted"])
    assert given.bounds == {"paid": [Bound(1_000_000)]}
    assert [one.outcome for one in first.verdicts] == [ALLOW, DENY]
    assert second.given.facts.exposure == {"paid": 5}
    assert second.given.facts.tool_calls == 1
    assert second.given.now - first.given.now == 5
    assert (first.unknown, second.unknown) == ("", "")


def test_a_decision_that_was_under_way_is_told_as_far_as_it_was_judged(evidence: Evidence) -> None:
    [found] = evidence.proposed(1, "{}", "{}").happened(judged("1-0")).questions()
    assert [call.call_id for call in found.given.calls] == ["1-0"]
    assert evidence.proposed(2, "{}").questions() == [found]


def approved(
    end: ApprovalEnd = ApprovalEnd.APPROVED, kind: ApprovalKind = ApprovalKind.ACTION, card: str = "apr"
) -> list[Event]:
    asked = Approval(card, kind, "1-0", "pay", "d", ("finance",), {"finance": ("alice",)})
    return [ApprovalOpened(asked), ApprovalVoted(card, "alice"), ApprovalEnded(card, end, "alice")]


def test_a_yes_counts_for_the_verdict_after_it(evidence: Evidence) -> None:
    said = Origins({"n": ("user",)})
    evidence.proposed(1, "{}").happened(judged("1-0", ASK, origins=said), *approved(), judged("1-0"))
    [first, released] = evidence.questions()
    assert (first.given.consents, first.given.origins) == ({}, {})
    assert released.given.consents == {"1-0": Consent(approved_by=["alice"])}
    assert (released.given.origins, released.unknown) == ({"1-0": said}, "")


@pytest.mark.parametrize(
    ("between", "unknown"),
    [
        (approved(ApprovalEnd.EDITED), EDITED),
        (approved(ApprovalEnd.DENIED), AT_THE_BOUNDARY),
        (approved(kind=ApprovalKind.OUTCOME_UNKNOWN), AT_THE_BOUNDARY),
        ([GrantUsed("1-0", "pay", "grt", "alice", 1, 2)], BY_GRANT),
        ([CallEnded("1-0", "pay", CallOutcome.DENIED)], AT_THE_BOUNDARY),
    ],
)
def test_what_was_asked_again_with_what_no_record_tells_is_unknown(
    evidence: Evidence, between: Sequence[Event], unknown: str
) -> None:
    evidence.proposed(1, "{}").happened(judged("1-0", ASK), *between, judged("1-0", DENY))
    [first, again] = evidence.questions()
    assert (first.unknown, again.unknown) == ("", unknown)
    evidence.happened(*approved(card="apr-2"), judged("1-0"))
    assert evidence.questions()[2].unknown == (EDITED if unknown == EDITED else "")


def counted(call: str, sum: int) -> Counted:
    return Counted(call, "pay", f"hold-{call}", {"paid": {Period.DAY: sum}}, {})


def paid(given: AuthorizeInput) -> object:
    return (given.counted, given.uncounted)


def test_sums_are_those_that_ledgers_told_without_the_call(evidence: Evidence) -> None:
    evidence.proposed(1, "{}", "{}").happened(counted("1-0", 9), judged("1-0", exposure={"paid": 5}), judged("1-1"))
    [found] = evidence.questions()
    assert paid(found.given) == ({"1-0": {"paid": {Period.DAY: 4}}}, ["1-1"])


def test_sums_that_ledgers_may_have_told_without_a_denied_call_are_unknown(evidence: Evidence) -> None:
    evidence.proposed(1, "{}", "{}").happened(counted("1-0", 9), counted("1-1", 12))
    evidence.happened(judged("1-0", DENY, exposure={"paid": 5}), judged("1-1", exposure={"paid": 3}))
    assert paid(evidence.questions()[0].given) == ({}, [])


def test_sums_that_were_given_back_count_no_more(evidence: Evidence) -> None:
    evidence.proposed(1, "{}").happened(counted("1-0", 9), judged("1-0", ASK, exposure={"paid": 5}))
    evidence.happened(Uncounted(("hold-1-0", "another")), *approved(), judged("1-0", exposure={"paid": 5}))
    [first, released] = evidence.questions()
    assert [paid(one.given) for one in (first, released)] == [({"1-0": {"paid": {Period.DAY: 4}}}, []), ({}, [])]


def test_a_call_without_its_words_is_unknown(evidence: Evidence) -> None:
    evidence.items.append({"kind": "decision", "calls": [{"call_id": "1-0"}]})
    [found] = evidence.happened(Decided(1, DecisionKind.CALLS, 1), judged("1-0")).questions()
    assert (found.given.calls[0].tool, found.unknown) == ("pay", NO_WORDS)
    evidence.items.clear()
    assert evidence.questions()[0].unknown == NO_WORDS


def test_what_comes_after_a_record_of_another_version_is_unknown(evidence: Evidence) -> None:
    evidence.proposed(1, "{}").happened(judged("1-0"))
    evidence.records.append({"seq": 9, "at": "2026-11-30T13:00:00Z", "event": "call_teleported", "facts": {}})
    [before, after] = evidence.proposed(2, "{}").happened(judged("2-0")).questions()
    assert (before.unknown, after.unknown) == ("", OTHER_VERSION)
    assert evidence.questions("the beginning is lacking")[0].unknown == "the beginning is lacking"


def test_a_verdict_of_another_version_cannot_be_read(evidence: Evidence) -> None:
    evidence.records.append({"seq": 9, "at": "2026-11-30T13:00:00Z", "event": "call_judged", "facts": {"call": "1-0"}})
    with pytest.raises(ArchiveError, match=OTHER_VERSION):
        evidence.questions()


def test_every_event_of_the_kernel_is_known() -> None:
    for module in pkgutil.iter_modules(kernel.__path__, "backstay.kernel."):
        importlib.import_module(module.name)
    ours = [one for one in Event.__subclasses__() if one.__module__.startswith("backstay.kernel.")]
    assert {one.name() for one in ours} == kinds().keys()


def test_a_record_reads_back_as_its_event_and_older_ones_lack_what_came_later() -> None:
    event = judged("1-0", ASK, groups=("finance",), exposure={"paid": 1}, origins=Origins({"n": ("user",)}))
    record = json.loads(json.dumps({"event": event.name(), "facts": event.facts()}))
    assert event_of(record) == event
    for later in ("origins", "grant", "grantable", "exposure", "observed"):
        del record["facts"]["verdict"][later]
    assert event_of(record) == judged("1-0", ASK, groups=("finance",))
    assert event_of({"event": "no_such_event", "facts": {}}) is None
    assert event_of({"event": "call_judged", "facts": {"call_id": 1}}) is None
