"""One decision of the model: the question and the answer."""

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field

from backstay.kernel.arguments import Unreadable, read_arguments, whole_numbers
from backstay.kernel.audit import canonical
from backstay.kernel.characters import escaped
from backstay.kernel.keys import short_digest
from backstay.kernel.meter import Bound
from backstay.kernel.price import Lost, Price, Usage
from backstay.kernel.verdict import Verdict

from .problems import Contract

Finish = Literal["stop", "length", "filtered"]
LONGEST_WIRE_ID = 128


class ProposedCall(Contract):
    """A call the model wants; `arguments` is its own text, unread and unchecked.

    `call_id` is Backstay's own. `wire_id` is the server's, and only the server reads it; None where it gave none that
    can be used. `whole` says that `content` spells whole numbers as integers, also those that are written with a point.
    `problem` says why the arguments cannot be used, where that was found when the reply was read.
    """

    call_id: str
    tool: str
    arguments: str
    wire_id: Annotated[str, Field(max_length=LONGEST_WIRE_ID)] | None = None
    whole: bool = False
    problem: str | None = None

    @cached_property
    def parsed(self) -> dict[str, Any] | Unreadable:
        """The arguments as one JSON object, parsed once; or why they are none."""
        return read_arguments(self.arguments) if self.problem is None else Unreadable(self.problem)

    @property
    def content(self) -> str:
        """Tool and arguments in one spelling, whatever the model wrote."""
        if isinstance(self.parsed, Unreadable):
            return f"{self.tool}\n{self.arguments}"
        arguments: Any = whole_numbers(self.parsed) if self.whole else self.parsed
        return f"{self.tool}\n{canonical(arguments)}"

    def without_arguments(self) -> "ProposedCall":
        """Returns the same call without its arguments, for whoever finds them in the history."""
        return ProposedCall(call_id=self.call_id, tool=self.tool, arguments="")

    def edited(self, arguments: Mapping[str, Any]) -> "ProposedCall":
        """Returns the same call with other arguments."""
        # Built anew: a copy would keep what was parsed of the old ones.
        return ProposedCall(call_id=self.call_id, tool=self.tool, arguments=canonical(arguments))


class BilledUsage(Contract):
    """Tokens of one reply as the provider reported them, where the report is consistent.

    `usd` is the provider's own bill in micro-dollars, 0 where it sent none.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    written_tokens: int = 0
    dear_input_tokens: int = 0
    dear_output_tokens: int = 0
    usd: int = 0

    def counted(self) -> Usage:
        """Returns the same figures for the kernel."""
        return Usage(**self.model_dump())

    def at(self, price: Price) -> "BilledUsage":
        """Returns the same bill at the price of the model that was asked, where that is more than the bill says."""
        return self.model_copy(update={"usd": max(self.usd, price.cost(self.counted()))})


class Part(Contract):
    """One part of a reply: a piece of its text, a reasoning item or a call, each the next of its kind.

    `length` counts the characters of a piece of text. `extra` holds the fields of the part that nobody here reads.
    """

    kind: Literal["text", "reasoning", "call"]
    length: int = 0
    extra: dict[str, Any] = Field(default_factory=dict[str, Any])


class Decision(Contract):
    """The reply of the model, in the words both model APIs share.

    `reasoning` holds opaque items of the Responses API that its provider wants back unchanged, `parts` the order of the
    reply, and `extra` the fields of the whole message that nobody here reads: all go back to the server as they came.
    `finish` is `length` where the reply was cut: its calls are then unusable, whatever they say. `problem` tells the
    model why its reply cannot be used, where that was found when it was read.
    """

    text: str | None = None
    calls: list[ProposedCall] = Field(default_factory=list[ProposedCall])
    finish: Finish = "stop"
    reasoning: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    parts: list[Part] = Field(default_factory=list[Part])
    extra: dict[str, Any] = Field(default_factory=dict[str, Any])
    problem: str | None = None

    def returned(self) -> Iterator[str]:
        """Yields what the next request sends back beyond text and calls, and a bill may leave out.

        A server's id stands at its call and at its result, where the tool's name may stand again.
        """
        for extra in (self.extra, *(part.extra for part in self.parts)):
            if extra:
                yield json.dumps(extra, ensure_ascii=False)
        for call in self.calls:
            if call.wire_id is not None:
                yield call.wire_id * 2 + call.tool

    def digest(self, step: int) -> str:
        """Returns a digest by which a worker knows whether it remembers the recorded decision of a step."""
        return short_digest(f"{step} {self.model_dump_json()}")


class Observation(Contract):
    """The result of a call as the model reads it.

    `text` is set where the workflow itself made it (a denial, a stop); None says that it is the result of the
    activity `act-{call_id}`, and stands there. `digest` tells a worker whether it remembers the recorded text.
    `refused` says that the call did not fit its tool, and `denied` that it was not executed although it did: long
    arguments are then not repeated whole. `labels` are those of what a child run has read.
    """

    call_id: str
    text: str | None = None
    digest: str | None = None
    refused: bool = False
    denied: bool = False
    labels: list[str] = Field(default_factory=list[str])


class Beforehand(Contract):
    """The facts of a run from before a decision that policy reads, so that its calls are judged as soon as it is made.

    `recent` has the calls of each tool in the last 60 seconds, `exposure` the sum of each meter, and `bounds` the
    limits of meters.
    """

    spent_usd: int
    tool_calls: int
    recent: dict[str, int] = Field(default_factory=dict[str, int])
    taint: list[str] = Field(default_factory=list[str])
    exposure: dict[str, int] = Field(default_factory=dict[str, int])
    bounds: dict[str, list[Bound]] = Field(default_factory=dict[str, list[Bound]])


class Compaction(Contract):
    """What the model reads of older turns from some decision on; turns count from 1.

    `summary` stands in place of the turns up to `dropped`, in the model's own words; without one they are left out. Of
    those up to `through` the results are left out. `labels` are those of all results that it no longer reads whole.
    """

    dropped: int
    through: int
    summary: str | None = None
    labels: list[str] = Field(default_factory=list[str])


class Heard(Contract):
    """Words of a person, as the next decision is told them.

    Attributes:
        by: who said them.
        text: the words.
        requester: whether that is who asked for the run; the words of anybody else are shown with their name.
        opens: whether they come after an answer, and begin a turn.
    """

    by: str
    text: str
    requester: bool
    opens: bool = False

    @property
    def shown(self) -> str:
        """The words as the model reads them."""
        return self.text if self.requester else f"{escaped(self.by)}, who did not ask for this run, says:\n{self.text}"


class DecideInput(Contract):
    """The input of `decide`: the news since the last decision, and what may be spent.

    `attempts` is how many requests the hold covers; an attempt beyond it sends nothing. `previous` is the digest of the
    decision before this one, for the same use as an observation's. `last` asks for the last answer, without tools.
    `model` names the model to ask; None is the one that the run was admitted with. `beforehand` is there where calls
    may be judged at once. `compaction` holds from this decision on, and of each result of `observations` the model
    reads `shown` bytes; None shows all. `heard` are words of people.
    """

    step: int
    run_key: str
    previous: str | None = None
    max_output_tokens: int
    attempts: int
    observations: list[Observation] = Field(default_factory=list[Observation])
    notes: list[str] = Field(default_factory=list[str])
    last: bool = False
    model: str | None = None
    beforehand: Beforehand | None = None
    compaction: Compaction | None = None
    shown: int | None = None
    heard: list[Heard] = Field(default_factory=list[Heard])


class LostAttempts(Contract):
    """Attempts that may have been billed without an answer, and the bills of those whose provider stated one.

    The detail of a failed `decide`.
    """

    lost_attempts: int
    bills: list[BilledUsage] = Field(default_factory=list[BilledUsage])

    def lost(self) -> Lost:
        """Returns the same for the kernel."""
        return Lost(self.lost_attempts, tuple(bill.counted() for bill in self.bills))


class Verdicts(Contract):
    """One verdict per call, in the order asked, and the members of the groups that the verdicts name.

    `identities` has a digest for each call that fits its tool, equal for calls that the tool cannot tell apart, and an
    empty text for each other call. Histories from before have none.
    """

    verdicts: list[Verdict]
    identities: list[str] = Field(default_factory=list[str])
    members: dict[str, list[str]] = Field(default_factory=dict[str, list[str]])


class EarlyVerdicts(Verdicts):
    """The verdicts over the calls of a decision that came with it, and what they rest on.

    `now` is the time in seconds since the epoch, `spent_usd` the run's spend with this decision, in micro-dollars.
    """

    now: int
    spent_usd: int


class DecideResult(LostAttempts):
    """The result of `decide`; `decision` is None where the attempt was cancelled before a reply came.

    `model` is the model that replied, and `price` its known price where that is another model than was asked for.
    `judged` has the verdicts over its calls, where policy was asked at once.
    """

    lost_attempts: int = 0
    decision: Decision | None
    usage: BilledUsage | None = None
    model: str | None = None
    price: Price | None = None
    judged: EarlyVerdicts | None = None
