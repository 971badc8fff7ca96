"""Turns validation errors into lines a caller can act on, without repeating what was sent."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

MAX_PROBLEMS = 50
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


def problems_of(error: ValidationError) -> list[Problem]:
    """Returns the problems of a validation error, at most 50; values of the input are never repeated."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    found = [Problem(field=_field(entry["loc"]), problem=_message(entry)) for entry in errors[:MAX_PROBLEMS]]
    if len(errors) > MAX_PROBLEMS:
        found.append(Problem(field="$", problem=f"and {len(errors) - MAX_PROBLEMS} more problems"))
    return found


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


def _message(entry: Any) -> str:
    if entry["type"] == "extra_forbidden":
        return "unknown field"
    if entry["type"] == "missing":
        return "required"
    if entry["type"] in ("model_type", "dict_type"):
        return "expected a JSON object"
    message = str(entry["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
