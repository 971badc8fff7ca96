"""Reads scripts from JSON strictly, with one-line errors that name the position.

A file holds one script (a list of turns), or several as `{"text that occurs in the goal": [turn, ...], ...}`; a run
gets the first that matches its goal. A turn is one of

    {"text": "Done."}                                              an answer, which ends most runs
    {"calls": [{"tool": "lookup", "args": {"id": "A17"}}]}         tool calls, beside a text if there is one
    {"status": 429, "retry_after": 1}                              an error; "message" and "code" may be given
    {"status": 200, "body": "<html>", "content_type": "text/html"} any reply at all
    {"drop": true}                                                 a closed connection; "after_bytes" if any
    {"drip": 5, "text": "Done."}                                   a good reply that takes 5 seconds to arrive
    {"attempts": [turn, ...]}                                      the k-th attempt gets the k-th turn

All but `attempts` take a "delay" in seconds. Answers, calls and drips take a "finish" and a "usage": an
object with "input_tokens", "output_tokens" and, where needed, "cached_tokens" and "reasoning_tokens", or
{"raw": value} to send any value verbatim, or "missing" to send none. A call may have an "id", and its
arguments are sent verbatim when they are given as text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias

from .script import JSON, MISSING, Attempts, Call, Drip, Drop, Failure, Raw, RawUsage, Reply, Script, Turn, Usage

Scripts: TypeAlias = Script | Mapping[str, Script]


class ScriptError(ValueError):
    """A script file that does not follow the module's docstring; the message is one line."""


def read_script(text: str | bytes) -> Scripts:
    """Reads a script, or several scripts by goal, from a JSON text.

    Raises:
        ScriptError: the text is not JSON or not a script; the message begins with the position, such as
            `refund[2].calls[0]`.
    """
    try:
        given: JSON = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ScriptError(f"not JSON: {error}") from None
    if isinstance(given, dict):
        return {goal: _script(turns, goal) for goal, turns in given.items()}
    return _script(given, "")


def _script(given: JSON, at: str) -> list[Turn]:
    if not isinstance(given, list):
        raise ScriptError(f"{at or 'script'}: must be a list of turns")
    return [_turn(turn, f"{at}[{number}]") for number, turn in enumerate(given)]


def _turn(given: JSON, at: str) -> Turn:
    fields = _Fields(given, at)
    if fields.has("attempts"):
        turns = _script(fields.given["attempts"], f"{at}.attempts")
        if not turns:
            raise ScriptError(f"{at}.attempts: at least one turn is needed")
        turn = Attempts(*turns)
    elif fields.has("drop"):
        if fields.given["drop"] is not True:
            raise ScriptError(f"{at}.drop: must be true")
        turn = Drop(fields.seconds("delay"), fields.whole("after_bytes", 0))
    elif fields.has("status"):
        turn = _status(fields)
    elif fields.has("drip"):
        turn = Drip(fields.seconds("drip"), _reply(fields))
    elif fields.has("text") or fields.has("calls"):
        turn = _reply(fields)
    else:
        raise ScriptError(f"{at}: needs one of `text`, `calls`, `status`, `drop`, `drip`, `attempts`")
    fields.finish()
    return turn


def _status(fields: _Fields) -> Turn:
    status, delay = fields.whole("status"), fields.seconds("delay")
    if not 200 <= status <= 599:
        raise ScriptError(f"{fields.at}.status: must be from 200 to 599")
    body = fields.text("body")
    if body is not None:
        return Raw(status, body, fields.text("content_type") or "application/json", delay)
    wait = fields.seconds("retry_after") if fields.has("retry_after") else None
    return Failure(status, fields.text("message") or "scripted failure", fields.text("code"), wait, delay)


def _reply(fields: _Fields) -> Reply:
    calls: JSON = fields.given["calls"] if fields.has("calls") else []
    if not isinstance(calls, list):
        raise ScriptError(f"{fields.at}.calls: must be a list of calls")
    return Reply(
        text=fields.text("text"),
        calls=[_call(call, f"{fields.at}.calls[{number}]") for number, call in enumerate(calls)],
        usage=_usage(fields.given["usage"], f"{fields.at}.usage") if fields.has("usage") else None,
        delay=fields.seconds("delay"),
        finish=fields.text("finish"),
    )


def _call(given: JSON, at: str) -> Call:
    fields = _Fields(given, at)
    tool, id = fields.text("tool"), fields.text("id")
    if tool is None:
        raise ScriptError(f"{at}: `tool` is missing")
    args: JSON = fields.given["args"] if fields.has("args") else {}
    if not isinstance(args, str | dict):
        raise ScriptError(f"{at}.args: must be an object or a string")
    fields.finish()
    return Call(tool, args, id)


def _usage(given: JSON, at: str) -> Usage | RawUsage:
    if given == "missing":
        return RawUsage(MISSING)
    fields = _Fields(given, at)
    if fields.has("raw"):
        usage = RawUsage(fields.given["raw"])
    else:
        usage = Usage(
            fields.whole("input_tokens"),
            fields.whole("output_tokens"),
            fields.whole("cached_tokens", 0),
            fields.whole("reasoning_tokens", 0),
        )
    fields.finish()
    return usage


class _Fields:
    """The fields of one JSON object; it remembers the fields read, to refuse the others."""

    def __init__(self, given: JSON, at: str) -> None:
        if not isinstance(given, dict):
            raise ScriptError(f"{at}: must be an object")
        self.given: Mapping[str, JSON] = given
        self.at = at
        self._asked: set[str] = set()

    def has(self, name: str) -> bool:
        self._asked.add(name)
        return name in self.given

    def text(self, name: str) -> str | None:
        value = self.given[name] if self.has(name) else None
        if value is None or isinstance(value, str):
            return value
        raise ScriptError(f"{self.at}.{name}: must be a string")

    def whole(self, name: str, default: int | None = None) -> int:
        value = self.given[name] if self.has(name) else default
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise ScriptError(f"{self.at}.{name}: must be a whole number")

    def seconds(self, name: str) -> float:
        value = self.given[name] if self.has(name) else 0
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
            return value
        raise ScriptError(f"{self.at}.{name}: must be a number of seconds")

    def finish(self) -> None:
        """Refuses fields that were never read.

        Raises:
            ScriptError: such a field exists.
        """
        unknown = sorted(self.given.keys() - self._asked)
        if unknown:
            raise ScriptError(f"{self.at}: unknown field `{unknown[0]}`")
