"""One decision of the model: the question and the answer."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from backstay.kernel.arguments import Unreadable, read_arguments
from backstay.kernel.audit import canonical
from backstay.kernel.keys import short_digest
from backstay.kernel.price import Price

from .problems import Contract

Finish = Literal["stop", "length", "filtered"]


class ProposedCall(Contract):
    """A call the model wants; `arguments` is its own text, unread and unchecked."""

    call_id: str
    tool: str
    arguments: str

    @cached_property
    def parsed(self) -> dict[str, Any] | Unreadable:
        """The arguments as one JSON object, parsed once; or why they are none."""
        return read_arguments(self.arguments)

    @property
    def content(self) -> str:
        """Tool and arguments in one spelling, whatever the model wrote."""
        arguments = self.arguments if isinstance(self.parsed, Unreadable) else canonical(self.parsed)
        return f"{self.tool}\n{arguments}"

    def edited(self, arguments: Mapping[str, Any]) -> "ProposedCall":
        """Returns the same call with other arguments."""
        # Built anew: a copy would keep what was parsed of the old ones.
        return ProposedCall(call_id=self.call_id, tool=self.tool, arguments=canonical(arguments))


class BilledUsage(Contract):
    """Tokens of one reply as the provider reported them, where the report is consistent."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0


class Decision(Contract):
    """The reply of the model, in the words both model APIs share.

    `reasoning` holds opaque items of the Responses API that its provider wants back unchanged. `finish` is `length`
    where the reply was cut: its calls are then unusable, whatever they say.
    """

    text: str | None = None
    calls: list[ProposedCall] = Field(default_factory=list[ProposedCall])
    finish: Finish = "stop"
    reasoning: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])

    def digest(self, step: int) -> str:
        """Returns a digest by which a worker knows whether it remembers the recorded decision of a step."""
        return short_digest(f"{step} {self.model_dump_json()}")


class Observation(Contract):
    """The result of a call as the model reads it.

    `text` is set where the workflow itself made it (a denial, a stop); None says that it is the result of the
    activity `act-{call_id}`, and stands there. `digest` tells a worker whether it remembers the recorded text.
    """

    call_id: str
    text: str | None = None
    digest: str | None = None


class DecideInput(Contract):
    """The input of `decide`: the news since the last decision, and what may be spent.

    `attempts` is how many requests the hold covers; an attempt beyond it sends nothing. `previous` is the digest of the
    decision before this one, for the same use as an observation's.
    """

    step: int
    run_key: str
    previous: str | None = None
    max_output_tokens: int
    attempts: int
    observations: list[Observation] = Field(default_factory=list[Observation])
    notes: list[str] = Field(default_factory=list[str])


class DecideResult(Contract):
    """The result of `decide`; `decision` is None where the attempt was cancelled before a reply came.

    `lost_attempts` counts attempts that may have been billed without an answer. `model` is the model that replied, and
    `price` its known price where that is another model than was asked for.
    """

    decision: Decision | None
    usage: BilledUsage | None = None
    lost_attempts: int = 0
    model: str | None = None
    price: Price | None = None


class DecideFailure(Contract):
    """The detail of a failed `decide`: how many attempts may have been billed."""

    lost_attempts: int
