"""A run's request, from what was typed."""

from collections.abc import Sequence
from typing import Any

import typer

from backstay.contracts.run import RunRequest
from backstay.errors import InvalidInputError

_BUDGET = "write it as `usd=0.10,steps=5,tools.send_email.calls=1`"


def read_request(
    goal: str, agent: str, tenant: str, requested_by: str | None, budget: str | None, metadata: Sequence[str]
) -> RunRequest:
    """The request.

    Raises:
        BadParameter: the budget or the metadata is not in its form.
        InvalidInputError: a value is not allowed; all problems are listed.
    """
    given: dict[str, Any] = {"goal": goal, "agent": agent, "tenant": tenant, "metadata": read_metadata(metadata)}
    if requested_by is not None:
        given["requested_by"] = requested_by
    if budget is not None:
        given["budget"] = read_budget(budget)
    request = RunRequest.read((given,))
    if isinstance(request, list):
        raise InvalidInputError(request)
    return request


def read_budget(text: str) -> dict[str, Any]:
    """A budget such as `usd=0.10,steps=5,tools.send_email.calls=1`; unknown names are for the contract to refuse.

    Raises:
        BadParameter: the text is not in this form.
    """
    budget: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, amount = (piece.strip() for piece in part.partition("="))
        if not equals or not name or not amount:
            raise typer.BadParameter(f"`{part}`: {_BUDGET}", param_hint="--budget")
        value = amount if name == "usd" else _whole(name, amount)
        if name.startswith("tools."):
            # A tool's own name may hold dots, and `mcp:files/read_file` holds a slash.
            tool, dot, limit = name.removeprefix("tools.").rpartition(".")
            if not dot:
                raise typer.BadParameter(f"`{part}`: {_BUDGET}", param_hint="--budget")
            budget.setdefault("tools", {}).setdefault(tool, {})[limit] = value
        else:
            budget[name] = value
    return budget


def read_metadata(pairs: Sequence[str]) -> dict[str, str]:
    """Metadata such as `["ticket=4711"]`.

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


def _whole(name: str, amount: str) -> int:
    try:
        return int(amount)
    except ValueError:
        raise typer.BadParameter(f"`{name}` must be a whole number", param_hint="--budget") from None
