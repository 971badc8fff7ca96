"""Turns validation errors into lines a caller can act on, without repeating what was sent."""

from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from backstay.kernel.nearest import did_you_mean, nearest

MAX_PROBLEMS = 50
UNKNOWN = "unknown field"
NO_OBJECT = "expected a JSON object"
REQUIRED = "required"
_MAX_NAME = 80


class Problem(BaseModel):
    """One fault of an input: the dotted field, `$` for the whole, and what it must be."""

    model_config = ConfigDict(frozen=True)

    field: str
    problem: str

    def __str__(self) -> str:
        return f"`{self.field}`: {self.problem}"


class Contract(BaseModel):
    """The base of all contracts: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


C = TypeVar("C", bound=Contract)


def read_only(model: type[C], args: tuple[Any, ...], name: str) -> C | list[Problem]:
    """Reads the only argument of a start or a message; anything but one fitting object is a list of problems.

    Args:
        model: the contract of that object.
        args: all arguments.
        name: the name of several arguments in the problem: `inputs`, `payloads`.
    """
    if len(args) != 1:
        return [Problem(field="$", problem=f"expected exactly one JSON object, got {len(args)} {name}")]
    try:
        return model.model_validate(args[0])
    except ValidationError as error:
        return problems_of(error, model)


def problems_of(error: ValidationError, model: type[BaseModel] | None = None) -> list[Problem]:
    """Returns the problems of a validation error, at most 50; values of the input are never repeated.

    A field that is mistyped comes before those that are missing, because it is why one of them is.

    Args:
        error: what pydantic found.
        model: the model that was read; with it, a mistyped field is told which one was probably meant.
    """
    errors = _ordered(error.errors(include_url=False, include_context=False, include_input=False))
    found = [Problem(field=_field(entry["loc"]), problem=_message(entry, model)) for entry in errors[:MAX_PROBLEMS]]
    if len(errors) > MAX_PROBLEMS:
        found.append(Problem(field="$", problem=f"and {len(errors) - MAX_PROBLEMS} more problems"))
    return found


def _ordered(errors: list[Any]) -> list[Any]:
    missing = [entry["loc"] for entry in errors if entry["type"] == "missing"]

    def mistyped(entry: Any) -> bool:
        *place, name = entry["loc"] or ("",)
        beside = [str(other[-1]) for other in missing if list(other[:-1]) == place]
        return entry["type"] == "extra_forbidden" and nearest(str(name), beside) is not None

    return sorted(errors, key=lambda entry: not mistyped(entry))


def summary(problems: list[Problem]) -> str:
    """Returns one line that names the fields."""
    shown = "; ".join(str(problem) for problem in problems[:10])
    return shown if len(problems) <= 10 else f"{shown}; and {len(problems) - 10} more"


def plain_problems(problems: list[Problem]) -> list[dict[str, str]]:
    """Returns problems as plain JSON values."""
    return [{"field": problem.field, "problem": problem.problem} for problem in problems]


def _field(location: tuple[int | str, ...]) -> str:
    name = ".".join(str(part)[:_MAX_NAME] for part in location if part != "[key]") or "$"
    name = name.encode("utf-8", "replace").decode()
    return name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "…"


def fields_at(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Returns the fields that are known where a field stands; none where any name goes.

    Args:
        model: the model of the whole.
        location: the names and numbers that lead to the field, itself the last.
    """
    kind: Any = model
    for part in location[:-1]:
        if _is_model(kind):
            kind = _bare(kind.model_fields[part].annotation) if part in kind.model_fields else None
        else:
            kind = _bare((get_args(kind) or (None,))[-1])  # of a list or of an object the value's type
    return [info.alias or name for name, info in kind.model_fields.items()] if _is_model(kind) else []


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _bare(kind: Any) -> Any:
    """Returns a type without its notes, and without the null that may stand in its place."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return _bare(next(one for one in get_args(kind) if one is not NoneType))
    return kind


def _message(entry: Any, model: type[BaseModel] | None) -> str:
    if entry["type"] == "extra_forbidden":
        location = entry["loc"]
        meant = did_you_mean(str(location[-1]), fields_at(model, location)) if model else None
        return f"{UNKNOWN}; {meant}" if meant else UNKNOWN
    if entry["type"] == "missing":
        return REQUIRED
    if entry["type"] in ("model_type", "dict_type"):
        return NO_OBJECT
    message = str(entry["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
