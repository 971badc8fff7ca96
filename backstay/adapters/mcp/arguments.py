"""Checks values against the schemas of servers, which come from outside: nothing is fetched, nothing backtracks."""

import json
from collections.abc import Mapping
from typing import Any, cast

import jsonschema_rs

from backstay.contracts.problems import MAX_PROBLEMS, Problem

_PATTERN_BYTES = 1_000_000
_MASK = "the value"
_HALF = "holds half a character, which is no text"


class UncheckableError(ValueError):
    """Raised where nothing can be checked against a schema; the text says why, in a few words."""


class Checker:
    """A schema, ready to check values."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Reads a schema.

        Raises:
            UncheckableError: it is none, refers to something outside of itself, or has a pattern that cannot be run in
                bounded time.
        """
        self._required = frozenset(name for name in _listed(schema.get("required")) if isinstance(name, str))
        options = jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES)
        try:
            self._validator = jsonschema_rs.validator_for(
                dict(schema), retriever=_refuse, pattern_options=options, mask=_MASK
            )
        except (ValueError, TypeError, RecursionError, OverflowError) as error:
            raise UncheckableError(_why(error)) from None

    def fitted(self, value: Mapping[str, Any]) -> dict[str, Any] | list[Problem]:
        """Returns arguments that fit, or what does not; leaves out nulls where a model meant to say nothing."""
        given = dict(value)
        problems = self.problems(given)
        if not problems:
            return given
        lean = {name: one for name, one in given.items() if one is not None or name in self._required}
        return lean if len(lean) < len(given) and not self.problems(lean) else problems

    def problems(self, value: Any) -> list[Problem]:
        """Returns what does not fit, without repeating it."""
        try:
            json.dumps(value, ensure_ascii=False).encode()
            if self._validator.is_valid(value):
                return []
            return [
                Problem(field=".".join(map(str, error.instance_path)) or "$", problem=_words(error.message))
                for error in _some(self._validator.iter_errors(value))
            ]
        except UnicodeEncodeError:
            return [Problem(field="$", problem=_HALF)]
        except (ValueError, TypeError, RecursionError, OverflowError):
            return [Problem(field="$", problem="cannot be checked against the schema")]


def _refuse(place: str) -> Any:
    """Fetches nothing."""
    raise ValueError("a schema refers to something outside of itself")


def _some(errors: Any) -> list[Any]:
    return [error for error, _ in zip(errors, range(MAX_PROBLEMS), strict=False)]


def _words(message: str) -> str:
    return message[:1].lower() + message[1:300]


def _listed(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _why(error: Exception) -> str:
    text = str(error)
    if "outside of itself" in text or "Unresolvable" in text or "retriev" in text.lower():
        return "its schema refers to something outside of itself"
    if "pattern" in text or "regex" in text.lower():
        return "its schema has a pattern that cannot be run in bounded time, or is none"
    return "its schema is none of JSON Schema"
