"""`backstay show`: everything that is known about a run."""

from typing import Annotated

import typer

from ..shell.completion import agent_names, run_ids
from ..shell.options import Written
from ..shell.output import Output


def show(
    run_id: Annotated[str | None, typer.Argument(metavar="[RUN]", help="The run's id.", autocompletion=run_ids)] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", "-a", help="Show this agent instead.", autocompletion=agent_names)
    ] = None,
    output: Written = Output.TABLE,
) -> int:
    """Show a run, open or closed: its state, its budget, what it did so far and what is in flight.

    With --agent, show an agent: every setting in force and where it came from, its tools, and the rules that can permit
    or forbid each. Exit code: 0 shown, 2 usage or configuration, 4 not found, 5 Temporal unreachable.
    """
    from ..work import show as work

    return work.show(run_id, agent, output)
