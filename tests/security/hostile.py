"""Starts and messages as somebody writes them who may write to the namespace and means no good."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

MESSAGES = 3
"""The number of messages that a run is sent."""

OPEN = "the open approval"
"""Stands for the id of the run's open approval."""

ODD = "\x00\x07\x1b[2J\r\n\t\u202e\u200b\u2066\ufeff\x85\u2028\U000e0041éß㌖ﷺ'\"`|$()\\/%*"
TEXTS = st.text(st.sampled_from(ODD) | st.characters(exclude_categories=[]), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.sampled_from(["alice", "pay", "9" * 60])
KEYS = st.sampled_from(
    ["goal", "agent", "tenant", "budget", "metadata", "by", "reason", "approval_id", "answer", "args", "usd", "after"]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda one: st.lists(one, max_size=3) | st.dictionaries(KEYS | TEXTS, one, max_size=4), max_leaves=8
)
STARTS: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"goal": st.just("pay") | TEXTS.filter(bool), "agent": st.just("clerk")},
    optional={
        "tenant": TEXTS,
        "requested_by": TEXTS,
        "metadata": st.dictionaries(TEXTS, TEXTS, max_size=3),
        "budget": JSON,
    },
)
ANSWERS: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"by": st.sampled_from(["alice", "olga"]) | TEXTS},
    optional={
        "approval_id": st.just(OPEN) | TEXTS,
        "comment": TEXTS,
        "reason": TEXTS,
        "answer": TEXTS,
        "result": JSON,
        "args": st.fixed_dictionaries({"amount": st.integers(), "note": TEXTS}) | JSON,
        "proof": TEXTS,
    },
)
ENCODINGS = [b"json/plain", b"binary/plain", b"binary/null", b"json/protobuf", b"binary/encrypted", b"\xff"]
NO_JSON = st.builds(
    lambda encoding, data: Payload(metadata={"encoding": encoding}, data=data),
    st.sampled_from(ENCODINGS),
    st.binary(max_size=12),
)
NAMES = st.sampled_from(["approve", "deny", "answer", "edit", "kill", "pause", "resume", "withdraw", "\u202e"])


def arguments(fitting: st.SearchStrategy[Any]) -> st.SearchStrategy[Sequence[Any]]:
    """One that nearly fits, mostly; else any JSON, what is no JSON, none, or several."""
    one = st.one_of(fitting, fitting, JSON, NO_JSON)
    return st.lists(one, min_size=1, max_size=1) | st.lists(one, max_size=3)


@dataclass(frozen=True)
class Message:
    """A message to a run, by signal or by update."""

    update: bool
    name: str
    args: Sequence[Any]


@dataclass(frozen=True)
class Attack:
    """A start with its options, and what is sent to the run afterwards."""

    args: Sequence[Any]
    run_id: str
    memo: Mapping[str, Any]
    attributes: Mapping[str, str]
    summary: str
    messages: Sequence[Message]


ATTACKS = st.builds(
    Attack,
    args=arguments(STARTS),
    run_id=TEXTS,
    memo=st.dictionaries(st.just("backstay.approvals") | TEXTS, JSON | NO_JSON, max_size=2),
    attributes=st.dictionaries(st.sampled_from(["BackstayState", "BackstayTenant", "BackstayAgent"]), TEXTS),
    summary=TEXTS,
    messages=st.lists(
        st.builds(Message, st.booleans(), NAMES, arguments(ANSWERS)), min_size=MESSAGES, max_size=MESSAGES
    ),
)


def raw(value: Any) -> RawValue:
    """A payload as it is, or a value as JSON that no client's converter has looked at."""
    if isinstance(value, Payload):
        return RawValue(value)
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(value).encode()))
