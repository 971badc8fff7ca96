"""`backstay list`: lists open runs, then closed ones, the latest first."""

from backstay.client.ending import REFUSED
from backstay.client.fleet import Listed, RunFilter, runs
from backstay.client.run_filter import REASONS, STATES

from ..shell.asking import Asking
from ..shell.choice import known
from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.program import program
from ..shell.queue import said_elsewhere
from ..shell.terminal import Output, say, write, write_json
from ..views.runs import runs_table

_PATIENCE = 2.0


def list(
    state: str | None, agent: str | None, tenant: str | None, stop_reason: str | None, limit: int, output: Output
) -> int:
    """Runs `backstay list` and returns its exit code."""
    known("state", state, STATES)
    known("stop reason", stop_reason, REASONS)
    return run_loop(_list(RunFilter(state, agent, tenant, stop_reason), limit, output))


async def _list(wanted: RunFilter, limit: int, output: Output) -> int:
    link = await connected(patience=_PATIENCE)
    asking = Asking(link) if await link.client.workers() else None
    queue = link.client.task_queue
    found = [one async for one in runs(link.client.temporal, wanted, limit, task_queue=queue, ask=asking)]
    if output is Output.JSON:
        write_json({"runs": [_as_json(one) for one in found]})
    elif found:
        write(runs_table(found))
        _say_refused(sum(one.refused for one in found), wanted)
    if not found and not await said_elsewhere(link) and output is Output.TABLE:
        say("no runs match")
    if len(found) == limit and output is Output.TABLE:
        say(f"the latest {limit}; more with `--limit`", "dim")
    return ExitCode.COMPLETED


def _say_refused(count: int, wanted: RunFilter) -> None:
    """Says how many of the runs were refused at the start: the agent that they name is only a claim."""
    if count and wanted.stop_reason is None:
        starts = "1 start was refused" if count == 1 else f"{count} starts were refused"
        say(f"{starts}, and never had an agent: {program()} list --stop-reason {REFUSED}", "dim")


def _as_json(one: Listed) -> dict[str, object]:
    return {
        "run_id": one.run_id,
        "execution": one.execution,
        "state": one.state,
        "agent": one.agent,
        "tenant": one.tenant,
        "stop_reason": one.stop_reason,
        "stop_detail": one.stop_detail,
        "pending_approvals": one.pending_approvals,
        "usd": one.usd,
        "seconds": one.seconds,
        "started_at": one.started_at.isoformat(),
        "closed_at": one.closed_at.isoformat() if one.closed_at else None,
    }
