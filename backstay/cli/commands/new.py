"""`backstay new`: writes the folder of a first agent, small enough to read in one go."""

from pathlib import Path
from typing import Annotated

import typer

from ..shell.options import Written
from ..shell.output import Output


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The agent's name, which is its folder's name.")],
    path: Annotated[Path, typer.Option(help="The folder of agents to write it to.")] = Path("agents"),
    output: Written = Output.TABLE,
) -> int:
    """Write an agent's folder that runs at once: its instructions, one tool, one case for its rules.

    Exit code: 0 written, 2 a bad name, or the folder exists already.
    """
    from ..work import new as work

    return work.new(name, path, output)
