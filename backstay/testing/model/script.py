"""What a scripted model says: a script is a sequence of turns, one per decision.

A turn is a reply, one of the ways in which a model server fails, or a function of the request that returns a
turn. All types are plain values, so a script can be a constant of a test module and serve any number of runs.
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
"""Stands for a field that is left out, where `None` would be sent as null."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the scripted model received it, and the place in a script that it was given.

    `conversation` and `attempt` come from the `Idempotency-Key`: the key up to its last `/`, and how often
    that key was seen, counted from 1. `index` is the decision's position in the script, counted from 0. `at`
    is a reading of `time.monotonic()`.
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

    Arguments given as text are sent verbatim, so that they need not be JSON. Without an `id` the call gets
    one that is the same in every attempt.
    """

    tool: str
    args: Mapping[str, JSON] | str = field(default_factory=dict[str, JSON])
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """The bill of one reply, in tokens: the input includes the cached ones, the output the reasoning."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class RawUsage:
    """A bill that lies: `value` is sent verbatim as the `usage` field, and `MISSING` leaves the field out."""

    value: JSON | Literal[Missing.MISSING]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, tool calls, or both, sent after `delay` seconds.

    Without a `usage` the bill is about a quarter of the bytes in each direction. Without a `finish` it is
    `tool_calls` or `stop`; `length` and `content_filter` make a reply that was cut.
    """

    text: str | None = None
    calls: Sequence[Call] = ()
    usage: Usage | RawUsage | None = None
    delay: float = 0
    finish: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as OpenAI reports it: status, JSON body, and a `Retry-After` in seconds if one is given."""

    status: int
    message: str = "scripted failure"
    code: str | None = None
    retry_after: float | None = None
    delay: float = 0


@dataclass(frozen=True, slots=True)
class Raw:
    """Any HTTP reply at all: HTML with status 200, an empty body, JSON of the wrong shape."""

    status: int
    body: bytes | str
    content_type: str = "application/json"
    delay: float = 0


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection is closed with no reply, or after the head and `after_bytes` bytes of a body."""

    delay: float = 0
    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Drip:
    """A good reply whose body takes `seconds` to arrive, a byte at a time: a timeout per read never fires."""

    seconds: float
    reply: Reply = Reply("scripted model: a slow reply")


@dataclass(frozen=True, slots=True, init=False)
class Attempts:
    """One decision asked several times: the k-th attempt gets the k-th turn, and the last turn repeats."""

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
    """Return what `turn` comes to for this request: attempts are looked up and functions are called."""
    while True:
        if isinstance(turn, Attempts):
            turn = turn.turns[min(request.attempt, len(turn.turns)) - 1]
        elif isinstance(turn, Reply | Failure | Raw | Drop | Drip):
            return turn
        else:
            turn = turn(request)


def turn_at(script: Script, index: int) -> Turn:
    """Return the turn of decision `index`, or `THE_END` once the script is exhausted."""
    return script[index] if index < len(script) else THE_END
