"""`backstay compare`: sets an AutoGPT loop beside a governed run, and shows what became of both."""

from pathlib import Path
from typing import Annotated

import typer

from ..shell.options import Written
from ..shell.output import Output


def compare(
    page: Annotated[Path | None, typer.Option(help="Write it as a page with plots to this HTML file, too.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=99, help="Runs that meet the erratic model.")] = 20,
    calls: Annotated[int, typer.Option(min=1, help="The harness ends a loop after so many model calls.")] = 60,
    output: Written = Output.TABLE,
) -> int:
    """See an AutoGPT loop beside a governed run: the same goals, model, tools and faults.

    Both run on this machine, on an engine of their own, with a scripted model; with OPENAI_API_KEY or OPENAI_BASE_URL
    the real model plays, and bills you. Exit code: 0 compared, 1 the scripted model did not show what it is there to
    show, 2 configuration.
    """
    from ..work import compare as work

    return work.compare(page, seeds, calls, output)
