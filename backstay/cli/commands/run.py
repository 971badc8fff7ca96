"""`backstay run`: starts a run and follows it."""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Annotated

import typer

from backstay.client.client import Run
from backstay.contracts.run import RunRequest, RunResult, plain
from backstay.tools.declare import seconds

from ..shell.connected import Connected, connected
from ..shell.exit import ExitCode, code_of_status
from ..shell.loop import run_loop
from ..shell.request import read_request
from ..shell.terminal import Output, say, write, write_json
from ..views.report import result_table
from ..views.transcript import Follower, print_line

_SILENCE_SECONDS = 5.0
_LAST_LOOK_SECONDS = 10.0


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
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="On whose behalf.")] = "default",
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

    Steps are shown on stderr, the result is written to stdout. Ctrl-C leaves the run alone. Exit code: 0 completed,
    1 failed, 2 usage or configuration, 3 stopped by governance, 5 Temporal unreachable, 124 timed out, 130 interrupted.
    """
    request = read_request(goal, agent, tenant, requested_by, budget, metadata or [])
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
        say(f"no end within {order.timeout:g} seconds; {_how_to_go_on(run)}")
        return ExitCode.TIMED_OUT
    except asyncio.CancelledError:
        say(f"\nleft alone: {_how_to_go_on(run)}")
        raise
    if order.output is Output.JSON:
        write_json(plain(result))
    else:
        write(result_table(result, page))
    return code_of_status(result.status)


async def follow_to_the_end(run: Run, follower: Follower, link: Connected | None = None) -> RunResult:
    """Prints what happens in a run until it closes, and returns its result; says so where no worker serves it."""
    beside = [asyncio.create_task(follower.follow())]
    if link is not None:
        beside.append(asyncio.create_task(_listen_for_workers(link, follower)))
    try:
        result = await run.result()
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LAST_LOOK_SECONDS):
            await follower.catch_up()
    return result


async def _listen_for_workers(link: Connected, follower: Follower) -> None:
    await asyncio.sleep(_SILENCE_SECONDS)
    if not follower.heard.is_set() and not await link.client.workers():
        queue = link.client.task_queue
        say(f"no worker polls the task queue `{queue}` yet; start one with `backstay worker`. Still waiting.", "yellow")


def _how_to_go_on(run: Run) -> str:
    return f"the run goes on. See it: backstay show {run.run_id} · end it: backstay kill {run.run_id} --reason WHY"
