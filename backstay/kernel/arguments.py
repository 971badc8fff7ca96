"""Reads the arguments a model wrote for a tool: strictly, and without ever raising."""

import functools
import json
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, cast

MAX_BYTES = 256 * 1024
MAX_DEPTH = 64
MAX_BITS = 64
_MAX_DIGITS = 20
EXACT = 2**53 - 1
"""The largest whole number that every reader of JSON reads exactly, also where it is written with a point."""
NAMES = (
    *("arguments", "parameters", "args", "input", "params", "kwargs", "argument"),
    *("action_input", "tool_input", "toolInput", "function_args"),
)
"""The names under which models and servers write the arguments of a call, the proper one first."""
SHOWN_CHARACTERS = 200
REPEATED_CHARACTERS = 2_000
DENIED_CHARACTERS = 8_000
_SHORT = 500
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Arguments that are no usable JSON object; `problem` says why, and never repeats their values."""

    problem: str


def read_arguments(raw: str) -> dict[str, Any] | Unreadable:
    """Reads one JSON object, strictly: nothing is repaired, nothing is guessed; no text, and null, are an empty one.

    Refused are texts that are no object, repeat a key, nest deeper than 64, exceed 256 KiB, or hold NaN, infinity,
    a number that overflows or has more digits than can be held, an integer beyond 64 bits, a NUL or half of a surrogate
    pair.
    """
    if is_empty(raw):
        return {}
    if len(raw.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return Unreadable(f"the arguments are longer than {MAX_BYTES} bytes")
    if _depth(raw) > MAX_DEPTH:
        return Unreadable(f"the arguments nest deeper than {MAX_DEPTH} levels")
    try:
        value = json.loads(raw, object_pairs_hook=_object, **_NUMBERS)
    except _RefusedError as refused:
        return Unreadable(str(refused))
    except ValueError:
        return Unreadable("the arguments are not valid JSON")
    if not isinstance(value, dict):
        return Unreadable("the arguments are not a JSON object")
    if _unwritable(cast("object", value)):
        return Unreadable("the arguments hold a NUL character or a broken surrogate pair")
    return cast("dict[str, Any]", value)


def is_empty(raw: str) -> bool:
    """Tells whether a model wrote no arguments, as servers spell that."""
    return raw.strip() in ("", "null")


def repeated_arguments(raw: str) -> str:
    """Returns the arguments for later requests; what is no object is wrapped in one, cut short.

    Some servers parse the arguments in their chat template, and fail where they are not JSON.
    """
    if is_empty(raw):
        return "{}"
    is_object = _is_short_object(raw) if len(raw) <= _SHORT else _is_object(raw)
    return raw if is_object else refused_arguments(raw)


def _is_object(raw: str) -> bool:
    return not isinstance(read_arguments(raw), Unreadable)


# Every request repeats all calls of a run: without a memory each of them would be read again for each decision.
_is_short_object = functools.lru_cache(maxsize=4_096)(_is_object)


def refused_arguments(raw: str) -> str:
    """Returns the beginning of arguments that were refused, in an object."""
    return json.dumps({"_invalid_arguments": _beginning(raw, SHOWN_CHARACTERS)}, ensure_ascii=False)


def is_long(raw: str) -> bool:
    """Tells whether arguments that were refused are too long to be repeated whole."""
    return len(raw) > REPEATED_CHARACTERS


def denied_arguments(raw: str) -> str:
    """Returns the beginning of arguments that were denied, in an object."""
    return json.dumps({"_beginning_of_denied_arguments": _beginning(raw, SHOWN_CHARACTERS)}, ensure_ascii=False)


def is_long_denied(raw: str) -> bool:
    """Tells whether arguments that were denied are too long to be repeated whole; a model may want to reword them."""
    return len(raw) > DENIED_CHARACTERS


def refused_text(text: str) -> str:
    """Returns a text that was refused as later requests repeat it: whole, or the beginning of a long one."""
    if len(text) <= DENIED_CHARACTERS:
        return text
    shown = _beginning(text, DENIED_CHARACTERS)
    return f"{shown}\n[cut here: {len(text)} characters in all, the first {DENIED_CHARACTERS} are shown]"


def _beginning(text: str, characters: int) -> str:
    return text[:characters].encode("utf-8", "replace").decode()


def whole_numbers(value: object) -> object:
    """Returns a value with integers for the whole numbers that are written with a point or an exponent: 3.0 and 3e0.

    Those beyond 2**53 stay, because what was written may have been another number.
    """
    if isinstance(value, float):
        return int(value) if has_whole_float(value) else value
    if isinstance(value, list):
        return [whole_numbers(entry) for entry in cast("list[object]", value)]
    if isinstance(value, dict):
        return {key: whole_numbers(entry) for key, entry in cast("dict[str, object]", value).items()}
    return value


def has_whole_float(value: object) -> bool:
    """Tells whether `whole_numbers` would change a value."""
    if isinstance(value, list):
        return any(map(has_whole_float, cast("list[object]", value)))
    if isinstance(value, dict):
        return any(map(has_whole_float, cast("dict[str, object]", value).values()))
    return isinstance(value, float) and value.is_integer() and abs(value) <= EXACT


def is_exact(text: str, number: float) -> bool:
    """Tells whether a float, as everybody spells it, is the number that a text of JSON spells."""
    try:
        return Decimal(text) == Decimal(repr(number))
    except InvalidOperation:  # an exponent that no number here has
        return False


class _RefusedError(ValueError):
    """JSON that Python's reader accepts and this one refuses."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = {key for key, _ in pairs}
    if len(keys) != len(pairs):
        raise _RefusedError("the arguments repeat a key")
    return dict(pairs)


def _constant(_: str) -> Any:
    raise _RefusedError("the arguments hold NaN or infinity, which JSON has not")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise _RefusedError("the arguments hold a number that overflows")
    if not is_exact(text, number):
        raise _RefusedError("the arguments hold a number with too many digits; write it as text where text is taken")
    return number


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > _MAX_DIGITS or (number := int(digits)).bit_length() > MAX_BITS:
        raise _RefusedError("the arguments hold an integer beyond 64 bits; write it as text where text is taken")
    return number


_NUMBERS: dict[str, Any] = {"parse_constant": _constant, "parse_float": _finite, "parse_int": _integer}


def _depth(raw: str) -> int:
    """Returns how deep a text nests, or 0 where it has too few brackets to be too deep."""
    if raw.count("[") + raw.count("{") <= MAX_DEPTH:
        return 0  # however they nest, they are not too deep
    deepest = depth = 0
    for character in _STRING.sub("", raw):
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _unwritable(value: object) -> bool:
    if isinstance(value, str):
        return _UNWRITABLE.search(value) is not None
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        return any(_unwritable(key) or _unwritable(entry) for key, entry in entries.items())
    if isinstance(value, list):
        return any(_unwritable(entry) for entry in cast("list[object]", value))
    return False
