"""Who did what in a run, and what to send in place of a refused message."""

import json

import pytest

from backstay.contracts import names
from backstay.contracts.deeds import PAYLOADS, Deed, deed_of, instead, refused_in
from backstay.contracts.messages import Answer, Edit, Grant, Hold, Kill, Say, Vote, read_message
from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind
from backstay.kernel.budget import Limits
from backstay.kernel.conversation_events import ConversationClosed, WordsSaid
from backstay.kernel.events import (
    ApprovalEnded,
    ApprovalOpened,
    ApprovalVoted,
    CancelRequested,
    Event,
    Granted,
    Killed,
    MessageRefused,
    Paused,
    Resumed,
)
from backstay.kernel.grant_events import StandingGranted
from backstay.kernel.incident_events import Frozen, IncidentStopped, Thawed
from backstay.kernel.run_state import RunState

AT = "2026-05-01T12:00:00.000Z"
STATE = RunState().after(ApprovalOpened(Approval("apr_1", ApprovalKind.ACTION, "1-0", "pay", "sha256:d", ("finance",))))


@pytest.mark.parametrize(
    ("event", "did", "tool", "comment"),
    [
        (Killed("ann", "enough"), "killed", None, "enough"),
        (Granted("ann", "more", Limits(usd=5), Limits(usd=9)), "granted", None, "usd=0.000005: more"),
        (
            StandingGranted("apr_1", "ann", "grt_1", "pay", (), 3, 1_767_225_600_000, {}),
            "granted",
            "pay",
            "3 further calls until 2026-01-01T00:00:00Z, as grant grt_1",
        ),
        (IncidentStopped("i1", "ann", "it pays twice"), "stopped", None, "incident i1: it pays twice"),
        (Frozen("i1", "ann", "look"), "froze", None, "incident i1: look"),
        (Thawed("i1", "ann", 5), "thawed", None, "incident i1"),
        (Paused("ann"), "paused", None, None),
        (Resumed("ann", "go"), "resumed", None, "go"),
        (WordsSaid("ann", False, "and?"), "said", None, None),
        (ConversationClosed("ann"), "closed", None, None),
        (ApprovalVoted("apr_1", "ann", "fine"), "approved", "pay", "fine"),
        (ApprovalEnded("apr_1", ApprovalEnd.DENIED, "ann", "no"), "denied", "pay", "no"),
        (ApprovalEnded("apr_1", ApprovalEnd.EDITED, "ann"), "edited", "pay", None),
        (ApprovalEnded("apr_1", ApprovalEnd.ANSWERED, "ann", "happened"), "answered", "pay", "happened"),
        (ApprovalVoted("apr_9", "ann"), "approved", None, None),
    ],
)
def test_what_a_person_does_has_a_name_a_time_and_a_comment(
    event: Event, did: str, tool: str | None, comment: str | None
) -> None:
    deed = deed_of(AT, event, STATE)
    assert isinstance(deed, Deed)
    assert (deed.at, deed.by, deed.did, deed.tool, deed.comment) == (AT, "ann", did, tool, comment)


@pytest.mark.parametrize(
    "event",
    [
        CancelRequested(),
        ConversationClosed(None),
        ApprovalEnded("apr_1", ApprovalEnd.EXPIRED),
        ApprovalEnded("apr_1", ApprovalEnd.APPROVED, "ann"),
    ],
    ids=["the engine", "nobody spoke", "time", "the vote before it is the deed"],
)
def test_what_nobody_did_is_no_deed(event: Event) -> None:
    assert deed_of(AT, event, STATE) is None
    assert refused_in(AT, event) is None


def test_a_refused_message_says_what_to_send_instead() -> None:
    refused = refused_in(AT, MessageRefused("pause", "InvalidMessage"))
    assert refused is not None
    assert refused.instead == 'send `pause` with {"by": "you@example.com", "reason": "why"}'


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        ("grant", "NotInGroup", "let a member of the group in `[approval] budget` grant"),
        ("edit", "NotEditable", "send `approve` or `deny`"),
        ("answer", "WrongKind", "send `approve` or `deny`"),
        ("approve", "WrongKind", "send `answer` with {"),
        ("approve", "ProofUsed", "a new proof"),
        ("approve", "ProofUnverifiable", "without `proof`"),
        ("approve", "NotInGroup", "`approvers`"),
        ("edit", "UnknownMessage", "as an update"),
        ("edit", "InvalidMessage", "send `edit` with {"),
        ("unknown", "UnknownMessage", "send one of `approve`, `deny`"),
    ],
)
def test_each_refusal_has_its_own_mend(message: str, code: str, words: str) -> None:
    assert words in instead(message, code)


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_that_is_shown_is_one_that_is_taken(name: str) -> None:
    votes = {names.APPROVE: Vote, names.DENY: Vote, names.ANSWER: Answer, names.EDIT: Edit}
    models = {**votes, names.KILL: Kill, names.GRANT: Grant, names.SAY: Say}
    assert not isinstance(read_message(models.get(name, Hold), (json.loads(PAYLOADS[name]),)), list)
