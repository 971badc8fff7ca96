"""Describes scripts for the scripted model: a script is a sequence of turns, one per decision.

A turn is a reply, a failure of the model server, or a function that takes the request and returns a turn. All types
are plain values, so that one script can be a constant and serve any number of runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Final, Literal, TypeAlias

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"


class Api(StrEnum):
    """The two OpenAI APIs that the scripted model speaks."""

    CHAT = "chat"
    RESPONSES = "responses"


class Missing(Enum):
    """The type of `MISSING`."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING
"""Leaves a field out, where `None` would be sent as null."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the scripted model received it, with its place in the script.

    Attributes:
        goal: the text of the first user message.
        conversation: the `Idempotency-Key` up to its last `/`; None without such a key.
        index: the decision's position in the script, counted from 0.
        attempt: how often the key was seen, counted from 1.
        at: the time of arrival by `time.monotonic()`, in seconds.
    """

    api: Api
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: Mapping[str, JSON]
    raw: bytes = field(repr=False)
    goal: str
    conversation: str | None
    index: int
    attempt: int
    at: float


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call that the model proposes.

    Attributes:
        args: the arguments; a text is sent verbatim and need not be JSON.
        id: the call's id; without one, the call gets the same generated id in every attempt.
    """

    tool: str
    args: Mapping[str, JSON] | str = field(default_factory=dict[str, JSON])
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """The bill of one reply in tokens; input includes cached tokens, output includes reasoning tokens."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class RawUsage:
    """A false bill, sent verbatim as the `usage` field; `MISSING` leaves the field out."""

    value: JSON | Literal[Missing.MISSING]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, tool calls, or both.

    Attributes:
        usage: the bill; without one, about a quarter of the bytes in each direction.
        delay: the seconds before the reply is sent.
        finish: the finish reason; `tool_calls` or `stop` unless given. `length` and `content_filter` cut the reply.
    """

    text: str | None = None
    calls: Sequence[Call] = ()
    usage: Usage | RawUsage | None = None
    delay: float = 0
    finish: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """An error in OpenAI's form: status, JSON body, and `Retry-After` in seconds if one is given."""

    status: int
    message: str = "scripted failure"
    code: str | None = None
    retry_after: float | None = None
    delay: float = 0
    param: str | None = None


@dataclass(frozen=True, slots=True)
class Raw:
    """An arbitrary HTTP reply, such as HTML with status 200, an empty body, or JSON of the wrong shape."""

    status: int
    body: bytes | str
    content_type: str = "application/json"
    delay: float = 0


@dataclass(frozen=True, slots=True)
class Drop:
    """A closed connection, without a reply or after the head and `after_bytes` bytes of a body."""

    delay: float = 0
    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Drip:
    """A good reply that arrives byte by byte over `seconds`, so that a timeout per read never fires."""

    seconds: float
    reply: Reply = Reply("scripted model: a slow reply")


@dataclass(frozen=True, slots=True, init=False)
class Attempts:
    """The turns for the attempts of one decision: the k-th attempt gets the k-th turn, and the last turn repeats."""

    turns: tuple[Turn, ...]

    def __init__(self, *turns: Turn) -> None:
        if not turns:
            raise ValueError("`Attempts` needs at least one turn")
        object.__setattr__(self, "turns", turns)


Answer: TypeAlias = Reply | Failure | Raw | Drop | Drip
Turn: TypeAlias = "Answer | Attempts | Callable[[Request], Turn]"
Script: TypeAlias = Sequence[Turn]

THE_END: Final = Reply("scripted model: the script is over")


def answer_for(turn: Turn, request: Request) -> Answer:
    """Resolves a turn for a request: picks the attempt's turn, and calls functions."""
    while True:
        if isinstance(turn, Attempts):
            turn = turn.turns[min(request.attempt, len(turn.turns)) - 1]
        elif isinstance(turn, Reply | Failure | Raw | Drop | Drip):
            return turn
        else:
            turn = turn(request)


def turn_at(script: Script, index: int) -> Turn:
    """Returns the turn for decision `index`, or `THE_END` after the last turn."""
    return script[index] if index < len(script) else THE_END
