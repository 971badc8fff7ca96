"""`backstay run`: starts a run and follows it."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

import typer

from backstay.contracts.run import RunRequest, plain
from backstay.tools.declare import seconds

from ..shell.connected import connected
from ..shell.exit import ExitCode, code_of_status
from ..shell.loop import run_loop
from ..shell.request import read_request
from ..shell.terminal import Output, say, write, write_json
from ..views.follow import Follower, follow_to_the_end, say_left_alone, say_no_end
from ..views.report import result_table
from ..views.transcript import print_line


@dataclass(frozen=True, slots=True)
class _Order:
    request: RunRequest
    run_id: str | None
    wait: bool
    timeout: float | None
    output: Output


def run(
    goal: Annotated[str, typer.Argument(help="What the agent is to do.")],
    agent: Annotated[str, typer.Option("--agent", "-a", help="Name of an agent folder.")] = "default",
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="The tenant that the run works for.")] = "default",
    requested_by: Annotated[str | None, typer.Option(help="Who asks; may not approve the run's actions.")] = None,
    budget: Annotated[
        str | None, typer.Option(help="Narrower limits: usd=0.10,steps=5,tools.send_email.calls=1.")
    ] = None,
    metadata: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for traces, audit, tools; repeat.")] = None,
    run_id: Annotated[str | None, typer.Option("--id", help="The run's id; the same id again is the same run.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the run to its end, or only start it.")] = True,
    timeout: Annotated[str | None, typer.Option(help="Wait no longer than this, such as 30s; the run goes on.")] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How the result is written.")] = Output.TABLE,
) -> int:
    """Start a run and follow it to its end.

    Shows the steps on stderr and writes the result to stdout. Ctrl-C leaves the run alone. Exit code: 0 completed,
    1 failed, 2 usage or configuration, 3 stopped by governance, 5 Temporal unreachable, 124 timed out, 130 interrupted.
    """
    given = {"goal": goal, "agent": agent, "tenant": tenant, "requested_by": requested_by}
    request = read_request(given, budget, metadata or [])
    limit = seconds(timeout) if timeout else None
    return run_loop(_run(_Order(request, run_id, wait, limit, output)))


async def _run(order: _Order) -> int:
    link = await connected()
    run = await link.client.start(order.request, order.run_id)
    page = link.link(run.run_id)
    if not order.wait:
        if order.output is Output.JSON:
            write_json({"run_id": run.run_id, "ui": page})
        else:
            write(run.run_id)
        return ExitCode.COMPLETED
    say(f"run {run.run_id}" + (f" · {page}" if page else ""), "bold")
    try:
        async with asyncio.timeout(order.timeout):
            result = await follow_to_the_end(run, Follower(run, print_line), link)
    except TimeoutError:
        say_no_end(run.run_id, order.timeout)
        return ExitCode.TIMED_OUT
    except asyncio.CancelledError:
        say_left_alone(run.run_id)
        raise
    if order.output is Output.JSON:
        write_json(plain(result))
    else:
        write(result_table(result, page))
    return code_of_status(result.status)
