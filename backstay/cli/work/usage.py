"""`backstay usage`: adds up what closed runs have used; needs no worker."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from backstay.client.usage import BY, UNKNOWN, Used
from backstay.client.usage import usage as used
from backstay.kernel.characters import escaped
from backstay.kernel.money import format_usd

from ..shell.choice import known
from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.moment import moment
from ..shell.terminal import say, write, write_json
from ..views.columns import Columns
from ..views.sheet import sheet

FIELDS = ("runs", "model_calls", "tool_calls", "input_tokens", "output_tokens", "usd")


def usage(by: str, since: str, output: str) -> int:
    """Runs `backstay usage` and returns its exit code."""
    known("sum", by, BY)
    return run_loop(_usage(by, moment(since), output))


async def _usage(by: str, since: datetime, output: str) -> int:
    link = await connected()
    found = await used(link.client.temporal, by, since, link.client.task_queue)
    if output == "json":
        write_json({"by": by, "since": since.isoformat(), "usage": [_row(by, one) for one in found]})
    elif output == "csv":
        sys.stdout.write(sheet((by, *FIELDS), [_row(by, one) for one in found]))
        sys.stdout.flush()
    elif found:
        write(_table(by, found))
    else:
        say(f"no run has closed since {since.astimezone():%Y-%m-%d %H:%M}")
    return ExitCode.COMPLETED


def _row(by: str, one: Used) -> dict[str, str | int | None]:
    figures: dict[str, int] = {name: value for name, value in asdict(one).items() if name in FIELDS}
    return {by: one.name or None, **figures, "usd": format_usd(one.usd)}


def _table(by: str, found: Sequence[Used]) -> Columns:
    table = Columns((by, *(field.replace("_", " ") for field in FIELDS)), tuple(f.replace("_", " ") for f in FIELDS))
    for one in found:
        name = "(no result)" if one.name == UNKNOWN else escaped(one.name)
        figures = (one.runs, one.model_calls, one.tool_calls, one.input_tokens, one.output_tokens)
        table.add(name, *(f"{figure:,}" for figure in figures), f"${format_usd(one.usd)}")
    return table
