"""`backstay run`: starts a run and follows it."""

import asyncio
import contextlib
from dataclasses import dataclass

from backstay.client.run import Run
from backstay.contracts.names import ADMIT
from backstay.contracts.run import RunRequest, plain
from backstay.errors import ConfigurationError, NoWorkerError
from backstay.kernel.characters import escaped
from backstay.tools.declare import seconds

from ..shell.connected import connected, person
from ..shell.exit import ExitCode, code_of_status
from ..shell.loop import run_loop
from ..shell.request import read_goal, read_request
from ..shell.terminal import Output, say, write, write_json
from ..shell.typed import is_interactive
from ..views.follow import Follower, follow_to_the_end, say_left_alone, say_no_end
from ..views.report import result_table
from ..views.transcript import print_line
from ..views.voice import speaking

_ADMISSION_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Order:
    request: RunRequest
    run_id: str | None
    sign: bool
    wait: bool
    timeout: float | None
    output: Output
    by: str | None


def run(
    goal: str,
    agent: str,
    tenant: str,
    requested_by: str | None,
    budget: str | None,
    metadata: list[str] | None,
    run_id: str | None,
    wait: bool,
    sign: bool,
    timeout: str | None,
    by: str | None,
    output: Output,
) -> int:
    """Runs `backstay run` and returns its exit code."""
    requested_by = requested_by or (person(None) if sign else None)
    given = {"goal": read_goal(goal), "agent": agent, "tenant": tenant, "requested_by": requested_by}
    request = read_request(given, budget, metadata or [])
    limit = seconds(timeout) if timeout else None
    return run_loop(_run(_Order(request, run_id, sign, wait, limit, output, by)))


async def _refused(run: Run) -> None:
    """Waits a moment for the admission of a run that nobody follows.

    Raises:
        InvalidInputError: the run was refused.
    """
    with contextlib.suppress(TimeoutError, NoWorkerError):
        async with asyncio.timeout(_ADMISSION_SECONDS):
            while (overview := await run.describe()).open:
                answered = overview.begun and not any(one.activity == ADMIT for one in overview.pending)
                # The engine knows the admission's answer before the run does, which closes only then.
                if answered and (await run.status()).state not in ("queued", "closed"):
                    return
                await asyncio.sleep(0.1)
            await run.result()


async def _run(order: _Order) -> int:
    link = await connected(signs=order.sign or is_interactive())
    if order.sign and link.client.signer is None:
        raise ConfigurationError("you have no key to sign with", mend="make one with `backstay keys new`")
    run = await link.client.start(order.request, order.run_id, sign=order.sign)
    page = link.link(run.run_id)
    if not order.wait:
        await _refused(run)
        if order.output is Output.JSON:
            write_json({"run_id": run.run_id, "ui": page})
        else:
            write(escaped(run.run_id))
        return ExitCode.COMPLETED
    say(f"run {escaped(run.run_id)}" + (f" · {page}" if page else ""), "bold")
    try:
        async with asyncio.timeout(order.timeout):
            async with speaking(run, order.by, asks=order.output is Output.TABLE):
                result = await follow_to_the_end(run, Follower(run, print_line), link)
    except TimeoutError:
        say_no_end(run.run_id, order.timeout, as_json=order.output is Output.JSON)
        return ExitCode.TIMED_OUT
    except asyncio.CancelledError:
        say_left_alone(run.run_id)
        raise
    if order.output is Output.JSON:
        write_json(plain(result))
    else:
        write(result_table(result, page))
    return code_of_status(result.status)
