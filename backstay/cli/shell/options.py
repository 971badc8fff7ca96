"""Declares the arguments and options that several commands share, each with one text for `--help`."""

from typing import Annotated

import typer

from .terminal import Output

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
By = Annotated[str | None, typer.Option(help="Who; default: BACKSTAY_USER, else the login name.")]
Written = Annotated[Output, typer.Option("--output", "-o", help="How it is written.")]
Agent = Annotated[str | None, typer.Option("--agent", "-a", help="Runs of this agent.")]
Tenant = Annotated[str | None, typer.Option("--tenant", "-t", help="Runs of this tenant.")]
