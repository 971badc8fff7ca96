"""`backstay keys`: makes the key that proves a person's answers, and shows its public line; needs no server."""

from typing import Annotated

import typer

from ..shell.options import By
from ..shell.output import Output

keys = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

Written = Annotated[Output, typer.Option("--output", "-o", help="How it is written.")]


@keys.callback()
def proofs() -> None:
    """Make a key that proves who you are, or show its public line. The private key stays in your state folder."""


@keys.command()
def new(by: By = None, output: Written = Output.TABLE) -> None:
    """Make your key, and write the lines for the file of people that workers verify by.

    From then on approve, deny, edit, answer, pause and resume sign for runs that verify proofs, and run --sign does.
    Exit code: 0 made, 2 there is a key already, or none can be kept.
    """
    from ..work import keys as work

    work.new(by, output)


@keys.command()
def show(by: By = None, output: Written = Output.TABLE) -> None:
    """Write the lines of your key for the file of people again.

    Exit code: 0 shown, 2 there is no key.
    """
    from ..work import keys as work

    work.show(by, output)
