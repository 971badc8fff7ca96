"""The messages people send to a run, by signal or by update of the same name."""

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, ValidationError

from backstay.kernel.arguments import Unreadable, read_arguments
from backstay.kernel.audit import canonical

from .problems import Contract, Problem, problems_of

Person = Annotated[str, Field(min_length=1, max_length=200, strict=True)]
Words = Annotated[str, Field(max_length=2_000, strict=True)]
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


class Kill(Contract):
    """Ends the run."""

    by: Person
    reason: Annotated[str, Field(min_length=1, max_length=2_000, strict=True)]


class Hold(Contract):
    """Pauses the run, or lets it go on."""

    by: Person
    reason: Words | None = None


class Vote(Contract):
    """Approves or denies one open approval."""

    approval_id: Annotated[str, Field(min_length=1, max_length=200, strict=True)]
    by: Person
    comment: Words | None = None
    proof: Words | None = None


class Answer(Vote):
    """Answers an open question, or says what became of a call whose outcome is unknown."""

    answer: Words
    result: Any = None


class Edit(Vote):
    """Replaces the arguments of a waiting call."""

    args: Annotated[dict[str, Any], AfterValidator(_as_a_model_may_write)]


class MessageState(Contract):
    """The answer to `kill`, `pause` and `resume`: the state of the run."""

    state: str


M = TypeVar("M", bound=Contract)


def read_message(model: type[M], args: tuple[Any, ...]) -> M | list[Problem]:
    """Reads the payload of a message; anything but one fitting object is a list of problems."""
    if len(args) != 1:
        return [Problem(field="$", problem=f"expected exactly one JSON object, got {len(args)} payloads")]
    try:
        return model.model_validate(args[0])
    except ValidationError as error:
        return problems_of(error)
