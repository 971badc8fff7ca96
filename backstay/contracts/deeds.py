"""Says who did what in a run, and what to send in place of a message that was refused."""

from collections.abc import Mapping

from backstay.kernel.approval import ApprovalEnd
from backstay.kernel.conversation_events import ConversationClosed, WordsSaid
from backstay.kernel.events import ApprovalEnded, ApprovalVoted, Event, Granted, Killed, MessageRefused, Paused, Resumed
from backstay.kernel.grant import words_of
from backstay.kernel.grant_events import StandingGranted
from backstay.kernel.incident_events import Frozen, IncidentStopped, Thawed
from backstay.kernel.run_state import RunState

from . import names
from .problems import Contract
from .standing import stamp

LATEST = 50
"""The deeds, and the refused messages, that a status holds; the audit has all of them."""
_ENDS = {
    ApprovalEnd.DENIED: "denied",
    ApprovalEnd.EDITED: "edited",
    ApprovalEnd.ANSWERED: "answered",
}
_MARKS: dict[type[Event], str] = {Killed: "killed", Paused: "paused", Resumed: "resumed"}
_INCIDENTS: dict[type[Event], str] = {IncidentStopped: "stopped", Frozen: "froze", Thawed: "thawed"}
_SAID: dict[type[Event], str] = {WordsSaid: "said", ConversationClosed: "closed"}
_DONE_BY_PEOPLE = frozenset((*_MARKS, *_INCIDENTS, *_SAID, Granted, StandingGranted, ApprovalVoted, ApprovalEnded))
"""Looked up first, because most events are not among them and `isinstance` costs much in a workflow's sandbox."""
PAYLOADS: Mapping[str, str] = {
    names.APPROVE: '{"approval_id": "apr_...", "by": "you@example.com"}',
    names.DENY: '{"approval_id": "apr_...", "by": "you@example.com", "comment": "why"}',
    names.ANSWER: '{"approval_id": "apr_...", "by": "you@example.com", "answer": "happened"}',
    names.EDIT: '{"approval_id": "apr_...", "by": "you@example.com", "args": {}}',
    names.GRANT: '{"by": "you@example.com", "reason": "why", "budget": {"usd": "0.50"}}',
    names.KILL: '{"by": "you@example.com", "reason": "why"}',
    names.PAUSE: '{"by": "you@example.com", "reason": "why"}',
    names.RESUME: '{"by": "you@example.com"}',
    names.SAY: '{"by": "you@example.com", "text": "what you want to know next"}',
}
"""A payload that each message takes."""
_INSTEAD = {
    "ApprovalUnknown": "name an `approval_id` that `backstay approvals` lists",
    "ApprovalClosed": "nothing: the approval was answered before",
    "ApprovalExpired": "nothing: the time to answer is over",
    "NotInGroup": "let one of the approval's `approvers` answer, named in `by`",
    "RequesterMayNotApprove": "let another of the approval's `approvers` answer: who asked for the run may not",
    "EditorMayNotApprove": "let another of the approval's `approvers` answer: who changed the arguments may not",
    "AlreadyAnswered": "let another of the approval's `approvers` answer: each person counts once",
    "InvalidAnswer": "answer `happened`, `not_happened` or `stop`; a question with words, or one of its `choices`",
    "InvalidArguments": "send arguments that fit the tool: `backstay show --agent AGENT` lists them",
    names.UNSERVED: "send the same again",
    "NotEditable": "send `approve` or `deny`, or `grant` what you think is enough",
    "NoGroup": "name a group as `[approval] budget` of the agent, for its next runs",
    "RequesterMayNotGrant": "let another member of the group in `[approval] budget` grant: who asked may not",
    "NoLimit": "leave out of `budget` what has no limit",
    "AboveCeiling": "grant less: `status` has the limits, the agent's ceilings bound them",
    "Frozen": "send the same once the incident is lifted: until then the approval does not expire",
    "RunEnds": "nothing: the run comes to its end",
    "NotKeptOpen": "nothing: start another run",
    "NotASpeaker": "let who asked for the run, or a member of `[conversation] speakers`, speak, named in `by`",
    "ConversationOver": "nothing: start another run",
    "TooMuchUnread": "send the same once the run has read what was said before",
    "NotGrantable": "send the same without `grant`",
    "GrantTooWide": "grant no more than the approval's `grantable` says",
    "GrantOver": "name a later end as `until`",
    "UnknownMeter": "cap only meters that the approval's `exposure` names",
    "TooManyGrants": "grant fewer uses, or revoke grants: `backstay grants list`",
    "GrantsUnanswered": "send the same again, or without `grant`",
    "ProofUnchecked": "send the same again",
    "ProofUnverifiable": "send the same without `proof`",
}
_SIGN_AGAIN = "send it with a new proof: `backstay` signs with your key, which `backstay keys new` makes"


class Deed(Contract):
    """One thing a person did in a run.

    Attributes:
        at: when, RFC 3339 in UTC.
        by: who: a claim, unless the run verifies proofs.
        did: `approved`, `denied`, `edited`, `answered`, `granted`, `killed`, `paused`, `resumed`, `said` or
            `closed` the conversation; `stopped`, `froze` or `thawed` for an incident.
        approval_id: the approval that it answers.
        tool: the tool of the call that the approval is about.
        comment: the person's comment or reason.
    """

    at: str
    by: str
    did: str
    approval_id: str | None = None
    tool: str | None = None
    comment: str | None = None


class RefusedMessage(Contract):
    """A message that was refused, without what it held.

    Attributes:
        at: when, RFC 3339 in UTC.
        message: the message's name.
        code: why it was refused.
        by: who sent it: a claim.
        instead: what to send instead.
    """

    at: str
    message: str
    code: str
    by: str | None
    instead: str


def deed_of(at: str, event: Event, state: RunState) -> Deed | None:
    """Returns what a person did in an event; None where nobody did anything.

    Args:
        at: the time of the event, RFC 3339 in UTC.
        event: the event.
        state: the state after it.
    """
    if type(event) not in _DONE_BY_PEOPLE:
        return None
    if isinstance(event, Killed | Paused | Resumed):
        return Deed(at=at, by=event.by, did=_MARKS[type(event)], comment=event.reason)
    if isinstance(event, WordsSaid | ConversationClosed):
        return None if event.by is None else Deed(at=at, by=event.by, did=_SAID[type(event)])
    if isinstance(event, IncidentStopped | Frozen | Thawed):
        why = "" if isinstance(event, Thawed) else f": {event.reason}"
        return Deed(at=at, by=event.by, did=_INCIDENTS[type(event)], comment=f"incident {event.incident}{why}")
    if isinstance(event, Granted):
        said = f"{words_of(event.added)}: {event.reason}"
        return Deed(at=at, by=event.by, did="granted", approval_id=event.approval_id, comment=said)
    if isinstance(event, StandingGranted):
        said = f"{event.uses} further calls until {stamp(event.until_ms)}, as grant {event.grant}"
        return Deed(at=at, by=event.by, did="granted", approval_id=event.approval_id, tool=event.tool, comment=said)
    if not isinstance(event, ApprovalVoted | ApprovalEnded) or event.by is None:
        return None
    did = "approved" if isinstance(event, ApprovalVoted) else _ENDS.get(event.end)
    if did is None:
        return None  # the last of the votes that ended it is a deed already
    approval = state.approvals.get(event.approval_id)
    tool = approval.tool if approval else None
    return Deed(at=at, by=event.by, did=did, approval_id=event.approval_id, tool=tool, comment=event.comment)


def refused_in(at: str, event: Event) -> RefusedMessage | None:
    """Returns the message that an event refused; None for other events."""
    if type(event) is not MessageRefused:
        return None
    said = instead(event.message, event.code)
    return RefusedMessage(at=at, message=event.message, code=event.code, by=event.by, instead=said)


def instead(message: str, code: str) -> str:
    """Returns what to send in place of a refused message."""
    if code == "WrongKind":
        return "send `approve` or `deny`" if message == names.ANSWER else f"send `answer` with {PAYLOADS[names.ANSWER]}"
    if code.startswith("Proof") and code not in _INSTEAD:
        return _SIGN_AGAIN
    if (message, code) == (names.GRANT, "NotInGroup"):
        return "let a member of the group in `[approval] budget` grant, named in `by`"
    if code in _INSTEAD:
        return _INSTEAD[code]
    if code == names.UNKNOWN_MESSAGE and message == names.EDIT:
        return f"send `edit` as an update with {PAYLOADS[names.EDIT]}"
    if message in PAYLOADS:
        return f"send `{message}` with {PAYLOADS[message]}"
    return f"send one of {', '.join(f'`{name}`' for name in PAYLOADS)}"
