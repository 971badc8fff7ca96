"""The messages people send to a run, by signal or by update of the same name.

`by` is a claim: whoever may write to the namespace names themselves, until a `proof` of it was verified.
"""

import re
from datetime import datetime
from typing import Annotated, Any, Self, cast

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, model_validator

from backstay.kernel.arguments import Unreadable, read_arguments
from backstay.kernel.audit import canonical
from backstay.kernel.meter import read_amount
from backstay.kernel.money import parse_usd
from backstay.kernel.terms import Terms

from .budget import BudgetLimits, LimitsInForce
from .exposure import MeterName, Quantity
from .person import Person
from .problems import C, Contract, Problem, read_only
from .proof import ProofText

Words = Annotated[str, Field(max_length=2_000, strict=True)]
Reason = Annotated[str, Field(min_length=1, max_length=2_000, strict=True)]
NOBODY = "unknown"
"""The name in the audit of a kill that names nobody."""
NO_REASON = "no reason given"
EDIT_BYTES = 100_000
"""The longest arguments a person may write: those of all waiting calls go into one message."""


def _as_a_model_may_write(args: dict[str, Any]) -> dict[str, Any]:
    """Reads a person's arguments as strictly as a model's."""
    try:
        spelled = canonical(args)
    except (TypeError, ValueError, RecursionError):
        raise ValueError("expected JSON values, without NaN and infinity") from None
    if len(spelled.encode("utf-8", "surrogatepass")) > EDIT_BYTES:
        raise ValueError(f"the arguments are longer than {EDIT_BYTES} bytes")
    read = read_arguments(spelled)
    if isinstance(read, Unreadable):
        raise ValueError(read.problem)
    return read


_PERSON: TypeAdapter[str] = TypeAdapter(Person)
_REASON: TypeAdapter[str] = TypeAdapter(Reason)


def _or_else(kind: TypeAdapter[str], value: object, other: str) -> str:
    try:
        return kind.validate_python(value)
    except ValidationError:
        return other


_TIME = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)\s*(ms|s|m|h|d)", re.ASCII)
_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def _until_ms(text: str, now_ms: int) -> int:
    """Reads an end in milliseconds since the epoch: a moment with its offset, or a time from now such as `8h`."""
    if match := _TIME.fullmatch(text):
        return now_ms + int(float(match[1]) * _MILLISECONDS[match[2]])
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("no offset")
    return int(at.timestamp() * 1_000)


def _moment(text: str) -> str:
    try:
        _until_ms(text, 0)
    except (ValueError, OverflowError):
        raise ValueError(
            "expected RFC 3339 with an offset such as `2026-12-01T18:00:00Z`, or a time such as `8h`"
        ) from None
    return text


class Kill(Contract):
    """Ends the run, whatever it holds: what does not fit is left out.

    `by` is a claim: a kill takes no proof, and a run that requires proofs records `unknown`.

    Attributes:
        by: who ends the run; `unknown` where nobody fitting is named.
        reason: why, for the result and the audit.
    """

    by: Person
    reason: Reason

    @classmethod
    def of(cls, args: tuple[Any, ...]) -> "Kill":
        """Reads the payload of a kill, which ends the run whatever it holds: what does not fit is left out."""
        given: Any = args[0] if len(args) == 1 else None
        fields = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
        return cls(
            by=_or_else(_PERSON, fields.get("by"), NOBODY), reason=_or_else(_REASON, fields.get("reason"), NO_REASON)
        )


class Hold(Contract):
    """Pauses the run, or lets it go on; `by` is a claim until the `proof` was verified.

    Attributes:
        by: who pauses or resumes the run.
        reason: why.
        proof: proves `by`.
    """

    by: Person
    reason: Words | None = None
    proof: ProofText | None = None


class Vote(Contract):
    """Approves or denies one open approval.

    `by` is a claim until the `proof` was verified; a proof that nothing verifies is refused, and proves nothing.

    Attributes:
        approval_id: the approval to answer.
        by: who answers; must be one of the asked group, and not the requester.
        comment: what the model and the audit are told.
        proof: proves `by`.
    """

    approval_id: Annotated[str, Field(min_length=1, max_length=200, strict=True)]
    by: Person
    comment: Words | None = None
    proof: ProofText | None = None


class GrantTerms(Contract):
    """Allows more than the call that was shown: a standing grant, with at least one of `uses` and `until` named.

    Further calls of the same tool, agent, tenant and rules are let through without asking, in every run of the tenant,
    until one of these is used up. What is left out is the most that the rules' `@grantable` allows.

    Attributes:
        uses: how many calls.
        until: the end, as RFC 3339 with its offset (`2026-12-01T18:00:00Z`), or as a time from now (`8h`).
        exposure: the most that these calls may add to a meter together, by the meter's name.
    """

    uses: Annotated[int, Field(ge=1, strict=True)] | None = None
    until: Annotated[str, Field(max_length=64, strict=True), AfterValidator(_moment)] | None = None
    exposure: dict[MeterName, Quantity] = Field(default_factory=dict[str, str])

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.uses is None and self.until is None:
            raise ValueError("names neither `uses` nor `until`")
        return self

    def terms(self, now_ms: int) -> Terms:
        """Returns the terms for a grant that is given at a moment."""
        until = None if self.until is None else _until_ms(self.until, now_ms)
        return Terms(self.uses, until, {name: read_amount(amount) for name, amount in self.exposure.items()})


class Approve(Vote):
    """Approves one open approval, and may let further calls like it through.

    `by` is a claim until the `proof` was verified; a proof that nothing verifies is refused, and proves nothing.

    Attributes:
        grant: a standing grant, where every rule that asks allows one and one person is asked.
    """

    grant: GrantTerms | None = None


class Answer(Vote):
    """Answers an open question, or says what became of a call whose outcome is unknown.

    Attributes:
        answer: `happened`, `not_happened` or `stop`; to a question the words, or one of its `choices`.
        result: the call's result, where it has happened.
    """

    answer: Words
    result: Any = None


class Edit(Vote):
    """Replaces the arguments of a waiting call.

    Attributes:
        args: the new arguments, all of them.
    """

    args: Annotated[dict[str, Any], AfterValidator(_as_a_model_may_write)]


def _adds(budget: BudgetLimits) -> BudgetLimits:
    """Refuses a grant that adds nothing."""
    given = budget.model_dump(exclude_none=True, exclude={"tools"})
    counts = [count for tool in budget.tools.values() for count in tool.model_dump(exclude_none=True).values()]
    amounts = [parse_usd(amount) if name == "usd" else amount for name, amount in given.items()]
    if not amounts and not counts:
        raise ValueError("names nothing to add to: write for example `usd`, `steps` or `seconds`")
    if not all([*amounts, *counts]):
        raise ValueError("adds nothing somewhere: each amount must be above zero")
    return budget


class Grant(Contract):
    """Adds to limits of a running run; `by` is a claim until the `proof` was verified.

    Attributes:
        by: who grants; must be one of the group in `[approval] budget`, and not the requester.
        reason: why, for the audit.
        budget: what is added to each limit; `{"steps": 10}` is ten more.
        proof: proves `by`.
    """

    by: Person
    reason: Reason
    budget: Annotated[BudgetLimits, AfterValidator(_adds)]
    proof: ProofText | None = None


class MessageState(Contract):
    """The answer to `kill`, `pause` and `resume`: the state of the run.

    Attributes:
        state: the run's state.
    """

    state: str


class GrantResult(MessageState):
    """The answer to `grant`.

    Attributes:
        budget: the limits now in force.
    """

    budget: LimitsInForce


class Say(Contract):
    """Says something to a run that its agent keeps open, or closes the conversation, or both.

    `by` is a claim until the `proof` was verified.

    Attributes:
        by: who speaks; must have asked for the run, or be one of the group in `[conversation] speakers`.
        text: the words; may be left out by who closes the conversation.
        close: takes no more words: the run ends with its last answer, or with the answer to what was said so far.
        proof: proves `by`.
    """

    by: Person
    text: Annotated[str, Field(min_length=1, max_length=32_000, strict=True)] | None = None
    close: Annotated[bool, Field(strict=True)] = False
    proof: ProofText | None = None

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.text is None and not self.close:
            raise ValueError("has neither `text` nor `close`")
        return self


class SayResult(MessageState):
    """The answer to `say`, given when the words were taken, never when they are answered.

    Attributes:
        turn: the turn that they belong to: the next one where the run waited, else the present one.
    """

    turn: int


def read_message(model: type[C], args: tuple[Any, ...]) -> C | list[Problem]:
    """Reads the payload of a message; anything but one fitting object is a list of problems."""
    return read_only(model, args, "payloads")
