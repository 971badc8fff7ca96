"""`backstay usage`: adds up what closed runs have used; needs no worker."""

from enum import StrEnum
from typing import Annotated

import typer


class Sheet(StrEnum):
    """Chooses how the sums are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def usage(
    by: Annotated[str, typer.Option(help="`tenant`, `agent`, `model` or `tool`.")] = "agent",
    since: Annotated[str, typer.Option(help="How far back, such as 24h or 7d, or a date such as 2026-11-01.")] = "30d",
    output: Annotated[Sheet, typer.Option("--output", "-o", help="How it is written.")] = Sheet.TABLE,
) -> int:
    """Add up what the closed runs have used that Temporal still keeps, the dearest first. Needs no worker.

    A run that left no result, as after it was terminated, is counted without a name. Tools have calls alone.
    Exit code: 0 written, 2 there is no such sum or time, 5 Temporal unreachable.
    """
    from ..work import usage as work

    return work.usage(by, since, output)
