"""Describes what is sent to a run and what comes back, in words and as JSON Schemas."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from pydantic import BaseModel

from backstay.contracts import names
from backstay.contracts.approval import EditResult, GrantedVoteResult, Notice, PendingApproval, VoteResult
from backstay.contracts.messages import (
    Answer,
    Approve,
    Edit,
    Grant,
    GrantResult,
    Hold,
    Kill,
    MessageState,
    Say,
    SayResult,
    Vote,
)
from backstay.contracts.run import RunRequest, RunResult
from backstay.contracts.status import Page, PageRequest, RunStatusView, TranscriptItem

from .documented import documented, prose
from .fields import type_of
from .markdown import code, page, table
from .schemas import Mode, models_in, schema_file, schema_of

_TEXT = """\
A run is the Temporal workflow `AgentRun` on the task queue `agents` (or `BACKSTAY_TASK_QUEUE`). Anything that speaks to
Temporal can start one and send it these messages; each takes one JSON object. The JSON Schemas say the exact shapes."""
_CLAIM = """\
`by`, `requested_by` and `tenant` are claims: whoever may write to the Temporal namespace names themselves, until
workers verify proofs ([Who sent it](../proofs.md))."""


class Message(NamedTuple):
    """One message of a run: its name, the ways to send it, its payload and its answer."""

    name: str
    ways: str
    takes: type[BaseModel] | None
    gives: type[BaseModel]


MESSAGES = (
    Message(names.AGENT_RUN, "start", RunRequest, RunResult),
    Message(names.APPROVE, "signal, update", Approve, VoteResult),
    Message(names.DENY, "signal, update", Vote, VoteResult),
    Message(names.ANSWER, "signal, update", Answer, VoteResult),
    Message(names.EDIT, "update", Edit, EditResult),
    Message(names.GRANT, "signal, update", Grant, GrantResult),
    Message(names.KILL, "signal, update", Kill, MessageState),
    Message(names.PAUSE, "signal, update", Hold, MessageState),
    Message(names.RESUME, "signal, update", Hold, MessageState),
    Message(names.SAY, "signal, update", Say, SayResult),
    Message(names.STATUS, "query", None, RunStatusView),
    Message(names.TRANSCRIPT, "query", PageRequest, Page),
    Message(names.AUDIT, "query", PageRequest, Page),
)
BESIDE = (GrantedVoteResult, PendingApproval, TranscriptItem, Notice)
"""Models inside of others: in the answer to an approval, in the status and transcript, in what a webhook gets."""
ANYTHING = Kill
"""Taken whatever it holds."""


def messages() -> str:
    """Returns the page about messages."""
    lines = [
        (code(one.name), one.ways, _link(one.takes) if one.takes else "nothing", _link(one.gives)) for one in MESSAGES
    ]
    sent = table(("name", "sent as", "takes", "returns"), lines)
    attributes = table(
        ("search attribute", "type"), [(code(name), kind) for name, kind in names.SEARCH_ATTRIBUTES.items()]
    )
    modes = _modes()
    inner = [part for kind in modes for part in models_in(kind)]
    parts = [_section(kind, modes.get(kind, "serialization")) for kind in dict.fromkeys([*modes, *inner])]
    return page("Messages and results", _TEXT, _CLAIM, sent, "## Search attributes", attributes, *parts)


def schemas() -> dict[str, str]:
    """Returns the JSON Schema of every input and result, by the path of its file."""
    return {_path(kind): schema_file(kind, mode, loose=kind is ANYTHING) for kind, mode in _modes().items()}


def _modes() -> dict[type[BaseModel], Mode]:
    """Returns what is sent and what comes back, in the order of the messages."""
    found: dict[type[BaseModel], Mode] = {}
    for one in MESSAGES:
        if one.takes is not None:
            found.setdefault(one.takes, "validation")
        found.setdefault(one.gives, "serialization")
    for kind in BESIDE:
        found.setdefault(kind, "serialization")
    return found


def _section(model: type[BaseModel], mode: Mode) -> str:
    said = documented(model, model.model_fields)
    schema = schema_of(model, mode)
    required = set(cast("list[str]", schema.get("required", []))) if model is not ANYTHING else set[str]()
    lines = [
        (code(name), "yes" if name in required else "", _kind(schema["properties"][name], schema), said[name])
        for name in model.model_fields
    ]
    sure = "required" if mode == "validation" else "always there"
    return f"## {model.__name__}\n\n{prose(model)}\n\n{table(('field', sure, 'type', 'meaning'), lines)}"


def _kind(given: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    words = type_of(given, root, lambda name: f"[{name}](#{name.lower()})")
    words = words.replace("table of", "object of").replace("table", "object")
    nullable = any(option.get("type") == "null" for option in given.get("anyOf", ()))
    return f"{words} or null" if nullable else words


def _path(kind: type[BaseModel]) -> str:
    return f"schemas/{kind.__name__}.json"


def _link(kind: type[BaseModel]) -> str:
    return f"[{kind.__name__}](#{kind.__name__.lower()}) ([schema]({_path(kind)}))"
