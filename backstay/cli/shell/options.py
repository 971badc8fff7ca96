"""Declares the arguments and options that several commands share, each with one text for `--help`."""

from typing import Annotated

import typer

from .completion import agent_names, run_ids
from .output import Output

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.", autocompletion=run_ids)]
By = Annotated[
    str | None,
    typer.Option(
        help="Who: a claim, unless your key proves it (`backstay keys`). Default: BACKSTAY_USER, else your login."
    ),
]
Written = Annotated[Output, typer.Option("--output", "-o", help="How it is written.")]
Agent = Annotated[str | None, typer.Option("--agent", "-a", help="Runs of this agent.", autocompletion=agent_names)]
Tenant = Annotated[str | None, typer.Option("--tenant", "-t", help="Runs of this tenant.")]
