"""`backstay run`: starts a run and follows it."""

from typing import Annotated

import typer

from ..shell.completion import agent_names
from ..shell.options import By
from ..shell.output import Output


def run(
    goal: Annotated[str, typer.Argument(help="What the agent is to do; - reads it from standard input.")],
    agent: Annotated[
        str, typer.Option("--agent", "-a", help="Name of an agent folder.", autocompletion=agent_names)
    ] = "default",
    tenant: Annotated[
        str, typer.Option("--tenant", "-t", help="The tenant that the run works for: a claim, without --sign.")
    ] = "default",
    requested_by: Annotated[
        str | None, typer.Option(help="Who asks: a claim, without --sign. May not approve the run's actions.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Narrower limits: usd=0.10,steps=5,tools.send_email.calls=1.")
    ] = None,
    metadata: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for traces, audit, tools; repeat.")] = None,
    run_id: Annotated[str | None, typer.Option("--id", help="The run's id; the same id again is the same run.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the run to its end, or only start it.")] = True,
    sign: Annotated[
        bool, typer.Option("--sign", help="Prove who asks with your key (`backstay keys new`); --requested-by is you.")
    ] = False,
    timeout: Annotated[str | None, typer.Option(help="Wait no longer than this, such as 30s; the run goes on.")] = None,
    by: By = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How the result is written.")] = Output.TABLE,
) -> int:
    """Start a run and follow it to its end.

    Shows the steps on stderr, says whom and what the run waits for, and on a terminal asks you where your approval is
    needed; writes the result to stdout. Ctrl-C leaves the run alone. Exit code: 0 completed, 1 failed, 2 usage or
    configuration, 3 stopped by governance, 5 Temporal unreachable, 124 timed out, 130 interrupted.
    """
    from ..work import run as work

    return work.run(goal, agent, tenant, requested_by, budget, metadata, run_id, wait, sign, timeout, by, output)
