"""`backstay policy replay`: tries a candidate bundle on the calls of past runs, or writes past calls as cases."""

import contextlib
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from temporalio.exceptions import ApplicationError

from backstay.adapters.archive.store import archive_of
from backstay.checks.against_past import AgainstPast, Tried, conversations_of, loosest_first
from backstay.checks.candidate import Candidate, candidate_of
from backstay.checks.forgotten import forgotten
from backstay.checks.past_case import PastCall, case_of, first_judged
from backstay.checks.past_runs import links_of, links_since, past_runs
from backstay.contracts.history import RunRef
from backstay.errors import ConfigurationError, HistoryError
from backstay.settings import Settings, load_settings

from ..shell.connected import Connected, connected
from ..shell.exit import ExitCode
from ..shell.failure import Failure, say_failure
from ..shell.loop import run_loop
from ..shell.moment import moment
from ..shell.queue import said_elsewhere
from ..shell.terminal import Output, say, write, write_json
from ..views.policy_replay import as_json, doubts, table
from .policy_past import no_verdict


@dataclass(frozen=True, slots=True)
class Wanted:
    """Names the past calls that are judged: since a moment, and of one agent; None for all."""

    since: datetime
    agent: str | None


def replay(policies: Sequence[Path], agents: Sequence[Path], since: str, agent: str | None, output: Output) -> int:
    """Tries a candidate on past runs and returns the exit code.

    Args:
        policies: folders with its rules.
        agents: folders with its agents.
        since: how far back, as typed.
        agent: the agent whose calls are judged; None for all.
        output: how the report is written.

    Raises:
        ConfigurationError: the candidate cannot be used, or `since` is no time.
    """
    began = moment(since)
    if not policies and not agents:
        mend = "name the folder of its rules: `--policies DIR`, or that of its agents: `--agents DIR`"
        raise ConfigurationError("there is no candidate", mend=mend)
    settings = load_settings()
    candidate = candidate_of(settings, policies, agents, [agent] if agent else [])
    return run_loop(_replay(candidate, settings, Wanted(began, agent), output))


def case(run_id: str, step: int | None, output: Output) -> int:
    """Writes the calls of a run as cases and returns the exit code.

    Args:
        run_id: the run.
        step: the step of the calls; None for all.
        output: how they are written.
    """
    return run_loop(_case(run_id, step, output))


async def _replay(candidate: Candidate, settings: Settings, wanted: Wanted, output: Output) -> int:
    _log_no_replay()
    link = await connected()
    client = link.client.temporal
    links = await links_since(client, link.client.task_queue, wanted.since, wanted.agent)
    tried = await _tried(link, candidate, links, wanted)
    if (archive := archive_of(settings, client)) is not None:
        tried += await forgotten(client, archive, frozenset(links), wanted.since, wanted.agent)
    changed = loosest_first(tried)
    if output is Output.JSON:
        write_json(as_json(tried, changed))
    else:
        if changed:
            write(table(changed))
        say(_summary(tried, changed))
        for doubt in doubts(tried):
            say(doubt, "yellow")
    if not tried:
        await said_elsewhere(link)
    if changed:
        return ExitCode.STOPPED
    return ExitCode.FAILED if any(one.now is None for one in tried) else ExitCode.COMPLETED


async def _tried(link: Connected, candidate: Candidate, links: Sequence[RunRef], wanted: Wanted) -> list[Tried]:
    client = link.client.temporal
    engine = client.service_client.config.target_host.rpartition(":")[0]
    against = AgainstPast(replace(candidate, engine=engine), conversations_of(client, link.client.task_queue))
    tried: list[Tried] = []
    async with contextlib.aclosing(past_runs(client, links)) as runs:
        async for run in runs:
            tried += await against.tried(run, int(wanted.since.timestamp()), wanted.agent)
    return tried


def _log_no_replay() -> None:
    """Silences the SDK's log: a history that does not replay is told as such, and its traceback helps nobody."""
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)


def _summary(tried: Sequence[Tried], changed: Sequence[Tried]) -> str:
    opened = sum(one.opens for one in changed)
    were = f", {opened} of them from deny to allow" if opened else ""
    return f"{len(changed)} of {len(tried)} calls would have been decided differently{were}"


async def _case(run_id: str, step: int | None, output: Output) -> int:
    _log_no_replay()
    link = await connected()
    client, judged, trouble = link.client.temporal, list[tuple[RunRef, PastCall]](), ""
    async with contextlib.aclosing(past_runs(client, await links_of(client, run_id))) as runs:
        async for run in runs:
            judged += [(run.ref, one) for one in first_judged(run, None)]
            trouble = trouble or run.trouble
    calls = [(ref, one) for ref, one in judged if step in (None, one.given.facts.step)]
    if not calls and trouble:
        failure = Failure(
            "NotReplayable", "the calls of the run cannot be told", trouble, "`backstay replay` says more"
        )
        say_failure(failure, as_json=output is Output.JSON)
        return ExitCode.FAILED
    if not calls:
        return no_verdict(step, {one.given.facts.step for _, one in judged}, output)
    # A run that was reset has two links with the same beginning.
    cases = list(dict.fromkeys(case_of(one) for one in await _with_results(link, calls)))
    if output is Output.JSON:
        write_json({"run_id": run_id, "cases": cases})
        return ExitCode.COMPLETED
    sys.stdout.write("\n".join(cases))
    sys.stdout.flush()
    say("append it to the agent's cases.toml; it holds values of a real call: see that none of them is private", "dim")
    return ExitCode.COMPLETED


async def _with_results(link: Connected, calls: Sequence[tuple[RunRef, PastCall]]) -> list[PastCall]:
    """Adds what the run had read, to calls whose rules wanted to know where values came from."""
    conversations = conversations_of(link.client.temporal, link.client.task_queue)
    found: list[PastCall] = []
    for ref, one in calls:
        if one.verdict.origins is not None:
            try:
                before = await conversations.before(ref, one.given.facts.step, one.given.decision)
            except (HistoryError, ApplicationError):
                mend = "write the case by hand: `backstay transcript` shows what it had read"
                raise ConfigurationError("the history does not tell what the run had read", mend=mend) from None
            one = replace(one, items=before.items)
        found.append(one)
    return found
