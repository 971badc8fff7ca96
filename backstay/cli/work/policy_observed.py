"""`backstay policy check --observed`: reports what enforcing the observed rules would have changed."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from backstay.client.client import BackstayClient
from backstay.client.fleet import RunFilter, runs
from backstay.client.verdicts import JudgedCall, judged_calls

from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.queue import said_elsewhere
from ..shell.terminal import Output, clean, say, write, write_json
from ..views.columns import Columns


def check_observed(agents: Sequence[str], limit: int, output: Output) -> int:
    """Reports on the latest runs and returns the exit code.

    Args:
        agents: names of the agents; with none, all runs are read.
        limit: runs of each agent at most.
        output: how the report is written.
    """
    return run_loop(_check(agents, limit, output))


async def _check(agents: Sequence[str], limit: int, output: Output) -> int:
    link = await connected()
    judged = await _judged(link.client, agents, limit)
    if not judged:
        await said_elsewhere(link)
    watched = {name: [one for one in calls if one.observed] for name, calls in judged.items()}
    seen = [one for calls in watched.values() for one in calls]
    changed = [one for one in seen if one.would_change]
    observing = sum(bool(calls) for calls in watched.values())
    if output is Output.JSON:
        counts = {"runs": len(judged), "observing": observing, "calls": len(seen)}
        write_json({**counts, "changed": [_as_json(one) for one in changed]})
        return ExitCode.COMPLETED
    if changed:
        write(_table(changed))
    if not seen:
        say(f'nothing was only observed in {len(judged)} runs: `mode = "observe"` in [policy] of agent.toml', "dim")
        return ExitCode.COMPLETED
    say(f"{len(changed)} of {len(seen)} calls in {observing} runs would have been decided differently")
    return ExitCode.COMPLETED


async def _judged(client: BackstayClient, agents: Sequence[str], limit: int) -> dict[str, list[JudgedCall]]:
    """Reads the verdicts on the calls of each run, by run id."""
    found: dict[str, list[JudgedCall]] = {}
    for agent in agents or [None]:
        async for run in runs(client.temporal, RunFilter(agent=agent), limit, task_queue=client.task_queue):
            if run.run_id not in found and not run.refused:
                found[run.run_id] = await judged_calls(client.temporal, run.run_id)
    return found


def _as_json(one: JudgedCall) -> dict[str, object]:
    outcome, rules = one.observed or (one.verdict.outcome, "")
    return {
        "run_id": one.run_id,
        "step": one.step,
        "call_id": one.call.call_id,
        "tool": one.call.tool,
        "arguments": one.call.arguments,
        "decided": one.verdict.outcome.value,
        "would_be": outcome.value,
        "rules": rules.split(", ") if rules else [],
    }


def _table(changed: Iterable[JudgedCall]) -> Columns:
    """Shows one line for each tool and each change, with the first call as an example."""
    groups: dict[tuple[str, str, str, str], list[JudgedCall]] = defaultdict(list)
    for one in changed:
        outcome, rules = one.observed or (one.verdict.outcome, "")
        groups[one.call.tool, one.verdict.outcome.value, outcome.value, rules].append(one)
    table = Columns(("tool", "was", "would be", "by", "calls", "such as"), ("calls",))
    for (tool, was, would_be, rules), calls in sorted(groups.items(), key=lambda entry: -len(entry[1])):
        example = f"{calls[0].run_id} step {calls[0].step}: {calls[0].call.arguments[:120]}"
        table.add(clean(tool), was, would_be, clean(rules), str(len(calls)), clean(example))
    return table
