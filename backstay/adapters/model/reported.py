"""Finds what the body of an error says: its words, the status it stands for, or a bad call that the model wrote."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, cast

_DEEPEST = 8
_MOST_PARTS = 20
_LONGEST_NAME = 200
_USAGE = re.compile("usage", re.IGNORECASE)
_WORDS = ("message", "msg", "error", "detail", "error_description", "description", "reason", "title", "raw")
_LIKE_WORDS = re.compile(r"message|error|fault|reason|hint|msg", re.IGNORECASE)
_CODES = ("code", "status", "status_code", "statusCode", "http_code", "http_status", "error_code", "type", "error")
_NO_ERROR = ("", "0", "200", "none", "null", "ok", "success", "no error", "false")
_NUMBERED = re.compile(
    r"(?:\b(?:http|error|status|code)|^)[\s:=(#\"']*(?:code|status|error)?[\s:=(#\"']*([45]\d\d)\b", re.IGNORECASE
)
_MORE = ("errors", "details", "detail", "metadata", "cause")
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.DOTALL | re.IGNORECASE)
_MEANINGS = (
    (429, r"rate.?limit|too.?many.?requests|throttl|resource.?exhausted|request.?limit|limit.?exceeded$|slow.?down"),
    (402, r"quota|billing|credit|payment|\bbalance\b"),
    (503, r"overload|unavailable|capacity|server.?error|internal|api.?error|upstream|gateway|timed?.?out|timeout"),
    (401, r"authenti|api.?key|unauthori[sz]ed"),
    (403, r"permission|forbidden|denied"),
    (404, r"not.?found|no.?such|does.?not.?exist"),
    (
        400,
        r"invalid|unsupported|bad.?request|validation|context.?length|too.?(?:long|large)|content.?(?:policy|filter)",
    ),
)
_BAD_CALL_CODE = re.compile(
    r"tool_use_failed|output_parse_failed|(?:malformed|invalid|unexpected|too_many)_(?:function|tool)_calls?|"
    r"(?:tool|function)_call_(?:parse|parsing|validation|invalid)",
    re.IGNORECASE,
)
_BAD_CALL = re.compile(
    r"failed to (?:call a function|parse input at pos)"
    r"|(?:failed to|could not|cannot|unable to|error(?: in)?) (?:pars|extract|decod|read|generat)\w* (?:the )?"
    r"(?:tool|function)[ _-]?call"
    r"|(?:tool|function)[ _-]?call (?:validation|pars\w+|generation) (?:failed|error)"
    r"|model (?:generated|produced|returned|emitted|wrote|output\w*|tried|attempted)\b.{0,120}"
    r"(?:invalid|malformed|pars|not valid|unavailable|unknown|call)"
    r"|attempted to call (?:an? )?(?:tool|function|unavailable|unknown)",
    re.IGNORECASE | re.DOTALL,
)
_TOO_LONG_CODE = re.compile(
    r"context_(?:length|size|window)|(?:prompt|input|request)_too_(?:long|large)", re.IGNORECASE
)
_TOO_LONG = re.compile(
    r"context (?:length|window|size|limit)|maximum (?:context|input|prompt) |prompt is too long|reduce the length"
    r"|(?:input|prompt|request|conversation) (?:is |has )?(?:too (?:long|large|many tokens)|exceeds)"
    r"|exceeds? the maximum number of (?:input )?tokens|too many (?:input |prompt )?tokens|too large for model",
    re.IGNORECASE,
)
_OF_THE_REQUEST = re.compile(r"\b(?:messages|input)(?:\[|\.\[?\d)")


def provider_message(body: object) -> str:
    """Finds the words in an error's body, in any usual shape; returns an empty text where there are none."""
    return _said(body, _DEEPEST)


def fields_of(value: object) -> dict[str, Any]:
    """Returns the fields of a JSON object, and none for any other value."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def model_in(body: object) -> str | None:
    """Returns the name of the model that a body says it is by, cut at 200 characters; None where it names none."""
    name = fields_of(body).get("model")
    return name[:_LONGEST_NAME] if isinstance(name, str) and name else None


def bills_in(body: object) -> list[dict[str, Any]]:
    """Finds the reports of usage in the body of an error, wherever they stand, that count anything.

    Where there is one, the model has worked, whatever the error's status says.
    """
    reports = [
        fields_of(report) for layer in _layers(body, _DEEPEST) for name, report in layer.items() if _USAGE.search(name)
    ]
    return [report for report in reports if _counts(report, _DEEPEST)]


def _counts(value: object, depth: int) -> bool:
    if fields := fields_of(value):
        return depth > 0 and any(_counts(one, depth - 1) for one in fields.values())
    return value is not True and (_number(value) or 0) > 0


def status_of(error: object) -> int | None:
    """Returns the HTTP status that an error stands for, by its number, its code or its words; None where by none."""
    codes = [error, *(layer.get(name) for layer in _layers(error, _DEEPEST) for name in _CODES)]
    numbers = (_number(code) for code in codes if not isinstance(code, dict | list))
    if named := next((number for number in numbers if number is not None and 400 <= number <= 599), None):
        return int(named)
    texts = [*(code for code in codes if isinstance(code, str)), provider_message(error)]
    numbered = (_NUMBERED.search(text) for text in texts)
    if found := next((number for number in numbered if number), None):
        return int(found[1])
    return next((found for text in texts if (found := _meaning(text))), None)


def is_error(value: object) -> bool:
    """Tells whether a field for an error holds one: some servers fill it where all went well."""
    if isinstance(value, dict):
        return any(is_error(entry) for entry in fields_of(cast("object", value)).values())
    if isinstance(value, list):
        return any(map(is_error, cast("list[object]", value)))
    return bool(value) and str(value).strip().casefold() not in _NO_ERROR


def bad_call(body: object) -> str | None:
    """Returns what the body of an error says of a bad call that the model wrote; None for an error of another kind.

    A server that parses the model's calls itself may answer a bad one with an error, as if the request were at fault.
    """
    layers = list(_layers(body, _DEEPEST))
    said = provider_message(body)
    coded = any(
        _BAD_CALL_CODE.search(str(layer.get(name))) for layer in layers for name in ("code", "type", "finish_reason")
    )
    failed = any(isinstance(layer.get("failed_generation"), str) and layer["failed_generation"] for layer in layers)
    worded = _BAD_CALL.search(said) is not None
    param = next((str(layer["param"]) for layer in layers if layer.get("param")), "")
    if not (coded or failed) and (not worded or _OF_THE_REQUEST.search(f"{said} {param}")):
        return None
    return said or "the tool call is malformed"


def is_too_long(body: object) -> bool:
    """Tells whether the body of an error says that the conversation does not fit the model's window."""
    codes = (str(layer.get(name)) for layer in _layers(body, _DEEPEST) for name in ("code", "type"))
    return any(map(_TOO_LONG_CODE.search, codes)) or _TOO_LONG.search(provider_message(body)) is not None


def is_bad_finish(reason: object) -> bool:
    """Tells whether a finish reason says that the model wrote a bad call."""
    return isinstance(reason, str) and _BAD_CALL_CODE.search(reason) is not None


def _said(value: object, depth: int) -> str:
    if depth == 0:
        return ""
    if isinstance(value, str):
        return _text(value, depth)
    if isinstance(value, list):
        return _joined("; ", [_said(entry, depth - 1) for entry in cast("list[object]", value)[:_MOST_PARTS]])
    if not isinstance(value, dict):
        return ""
    fields = fields_of(cast("object", value))
    first, said = next(((name, said) for name in _WORDS if (said := _said(fields.get(name), depth - 1))), ("", ""))
    more = [_said(fields.get(name), depth - 1) for name in _MORE if name != first]
    if said or any(more):
        return _joined(": ", [_place(fields.get("loc")), said, *more])
    return _joined("; ", list(_of_fields(fields, depth - 1))[:_MOST_PARTS])


def _text(text: str, depth: int) -> str:
    start = text.lstrip()[:1]
    if start == "<":
        title = _TITLE.search(text)
        return " ".join(title[1].split()) if title else ""
    inner = _parsed(text) if start in ("{", "[") else None
    return text.strip() if inner is None else _said(inner, depth - 1)


def _of_fields(fields: dict[str, Any], depth: int) -> Iterator[str]:
    """Yields what is said field by field, or under a name of the provider's own."""
    for name, entry in fields.items():
        said = _said(entry, depth) if name != "loc" else ""
        if said and name not in _MORE and isinstance(entry, list):
            yield f"{name}: {said}"
        elif said and (isinstance(entry, dict) or _LIKE_WORDS.search(name)):
            yield said


def _place(location: object) -> str:
    return ".".join(map(str, cast("list[object]", location))) if isinstance(location, list) else ""


def _joined(between: str, parts: list[str]) -> str:
    """Joins parts, without those that an earlier one says already."""
    kept: list[str] = []
    for part in parts:
        if part and not any(part in earlier for earlier in kept):
            kept.append(part)
    return between.join(kept)


def _layers(value: object, depth: int) -> Iterator[dict[str, Any]]:
    """Yields all objects in a body, also those in a text: gateways quote the error of the server behind them."""
    if depth == 0:
        return
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        value = _parsed(value)
    if isinstance(value, dict):
        fields = fields_of(cast("object", value))
        yield fields
        value = list(fields.values())
    if isinstance(value, list):
        for entry in cast("list[object]", value)[:_MOST_PARTS]:
            yield from _layers(entry, depth - 1)


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _meaning(text: str) -> int | None:
    return next((status for status, words in _MEANINGS if re.search(words, text, re.IGNORECASE)), None)


def _number(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
