"""Reads requests, budgets, metadata and arguments as they are typed after a command."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, cast

import typer

from backstay.contracts.run import RunRequest
from backstay.errors import ConfigurationError, InvalidInputError

_MOST_BYTES = 1_000_000
_PIPE = "pipe the goal in: `backstay run - < goal.txt`"
_BUDGET = "write it as `usd=0.10,steps=5,tools.send_email.calls=1`"

_GRANT = "write it as `--grant uses=20 --grant until=8h --grant exposure.refunds_usd=2000`"


def read_request(given: Mapping[str, str | None], budget: str | None, metadata: Sequence[str]) -> RunRequest:
    """Reads the request of a run.

    Args:
        given: the fields of the request that are text; None is left out.
        budget: such as `usd=0.10,steps=5`.
        metadata: such as `["ticket=4711"]`.

    Raises:
        BadParameter: the budget or the metadata has another form.
        InvalidInputError: a value is not allowed; lists all problems.
    """
    fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    fields["metadata"] = read_metadata(metadata)
    if budget is not None:
        fields["budget"] = read_budget(budget)
    request = RunRequest.read((fields,))
    if isinstance(request, list):
        raise InvalidInputError(request)
    return request


def read_goal(typed: str) -> str:
    """Returns the goal of a run; `-` reads it from standard input, up to its end.

    Raises:
        ConfigurationError: standard input is empty or closed, or holds no text.
    """
    if typed != "-":
        return typed
    try:
        goal = sys.stdin.buffer.read(_MOST_BYTES).decode("utf-8").strip() if sys.stdin else ""
    except (OSError, ValueError):
        raise ConfigurationError("standard input holds no text in UTF-8", mend=_PIPE) from None
    if not goal:
        raise ConfigurationError("standard input is empty", mend=_PIPE)
    return goal


def read_budget(text: str, option: str = "--budget") -> dict[str, Any]:
    """Reads a budget such as `usd=0.10,steps=5,tools.send_email.calls=1`; the contract refuses unknown names later.

    Args:
        text: what was typed.
        option: the option or argument it was typed for, for errors.

    Raises:
        BadParameter: the text has another form.
    """
    budget: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, amount = (piece.strip() for piece in part.partition("="))
        if not equals or not name or not amount:
            raise typer.BadParameter(f"`{part}`: {_BUDGET}", param_hint=option)
        value = amount if name == "usd" else _whole(name, amount, option)
        if name.startswith("tools."):
            # A tool's own name may hold dots, and `mcp:files/read_file` holds a slash.
            tool, dot, limit = name.removeprefix("tools.").rpartition(".")
            if not dot:
                raise typer.BadParameter(f"`{part}`: {_BUDGET}", param_hint=option)
            budget.setdefault("tools", {}).setdefault(tool, {})[limit] = value
        else:
            budget[name] = value
    return budget


def read_grant(parts: Sequence[str]) -> dict[str, Any] | None:
    """Reads a standing grant such as `["uses=20", "until=8h", "exposure.refunds_usd=2000"]`, or one JSON object.

    Raises:
        BadParameter: a part has another form.
    """
    if len(parts) == 1 and parts[0].lstrip().startswith("{"):
        try:
            return cast("dict[str, Any]", json.loads(parts[0]))
        except ValueError:
            raise typer.BadParameter(f"no JSON object: {_GRANT}", param_hint="--grant") from None
    grant: dict[str, Any] = {}
    for part in filter(None, (piece.strip() for text in parts for piece in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name or not value:
            raise typer.BadParameter(f"`{part}`: {_GRANT}", param_hint="--grant")
        if name.startswith("exposure."):
            grant.setdefault("exposure", {})[name.removeprefix("exposure.")] = value
        else:
            grant[name] = _whole(name, value, "--grant") if name == "uses" else value
    return grant or None


def read_metadata(pairs: Sequence[str]) -> dict[str, str]:
    """Reads metadata such as `["ticket=4711"]`.

    Raises:
        BadParameter: a pair has no `=`.
    """
    metadata: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"`{pair}`: write it as `ticket=4711`", param_hint="--metadata")
        metadata[name] = value
    return metadata


def read_arguments(text: str) -> dict[str, Any]:
    """Reads the arguments of a call, such as `{"amount": 50}`.

    Raises:
        ConfigurationError: the text is no JSON object.
    """
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ConfigurationError("`--args` is no JSON object", mend="write all arguments: '{\"amount\": 50}'")
    return cast("dict[str, Any]", value)


def _whole(name: str, amount: str, option: str) -> int:
    try:
        return int(amount)
    except ValueError:
        raise typer.BadParameter(f"`{name}` must be a whole number", param_hint=option) from None
