"""`backstay policy replay`: tries a candidate bundle on the calls of past runs."""

import contextlib
from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from temporalio.client import Client

from backstay.adapters.archive.store import Store, archive_of
from backstay.checks.against_past import AgainstPast, Tried, conversations_of, loosest_first
from backstay.checks.archived_runs import Sought, archived_runs, everything, forgotten_by, manifests_beside
from backstay.checks.candidate import Candidate, candidate_of
from backstay.checks.past_runs import PastRun, Unread, links_since, past_runs, silenced
from backstay.client.connection import namespace
from backstay.contracts.history import RunRef
from backstay.errors import ConfigurationError
from backstay.settings import Settings, load_settings

from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.moment import moment
from ..shell.queue import said_elsewhere
from ..shell.terminal import Output, clean, say, write, write_json
from ..views.policy_replay import as_json, doubts, table

_DELETED = "Temporal has deleted its history meanwhile"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Names the past calls that are judged.

    Attributes:
        since: how far back, as typed.
        agent: the agent that they are of; None for all.
        archive: the place that alone is read; None for histories, and the archive of the settings for what is gone.
    """

    since: str = "7d"
    agent: str | None = None
    archive: str | None = None


@dataclass(slots=True)
class _Trial:
    """A candidate, the calls that it is tried on, and what has come of it so far."""

    candidate: Candidate
    since: datetime
    agent: str | None
    tried: list[Tried] = field(default_factory=list[Tried])
    unread: list[Unread] = field(default_factory=list[Unread])
    read: set[RunRef] = field(default_factory=set[RunRef])

    async def on_histories(self, client: Client, task_queue: str, archive: Store | None) -> None:
        """Tries the calls of runs that Temporal has, and those in the archive that it has no longer."""
        engine = client.service_client.config.target_host.rpartition(":")[0]
        candidate = replace(self.candidate, engine=engine)
        against = AgainstPast(candidate, conversations_of(client, task_queue))
        links = await links_since(client, task_queue, self.since, self.agent)
        async with contextlib.aclosing(past_runs(client, links)) as runs:
            await self._on(runs, against)
        if archive is not None:
            wants = forgotten_by(client, frozenset(self.read))
            await self.on_archive(archive, Sought(client.namespace, self.since, self.agent, wants), against)
        self.unread += [Unread(link.workflow_id, _DELETED, link) for link in links if link not in self.read]

    async def on_archive(self, archive: Store, sought: Sought, against: AgainstPast) -> None:
        """Tries the calls that an archive has.

        Raises:
            ConfigurationError: nothing but the archive is asked, and it has nothing at all.
        """
        manifests, broken = await archive.manifests()
        if not manifests and not broken and sought.wants is everything:
            mend = "is it the place that `BACKSTAY_ARCHIVE` names?"
            raise ConfigurationError("the archive holds no evidence of any run", where="`--archive`", mend=mend)
        self.unread += manifests_beside(broken, self.read)
        async with contextlib.aclosing(archived_runs(archive, manifests, sought)) as runs:
            await self._on(runs, against)

    async def _on(self, runs: AsyncIterable[PastRun | Unread], against: AgainstPast) -> None:
        async for run in runs:
            if run.ref is not None:
                self.read.add(run.ref)
            if isinstance(run, Unread):
                self.unread.append(run)
            else:
                self.tried += await against.tried(run, self._began, self.agent)

    @property
    def _began(self) -> int:
        return int(self.since.timestamp())


def replay(policies: Sequence[Path], agents: Sequence[Path], wanted: Wanted, output: Output) -> int:
    """Tries a candidate on past runs and returns the exit code.

    Args:
        policies: folders with its rules.
        agents: folders with its agents.
        wanted: the calls that are judged.
        output: how the report is written.

    Raises:
        ConfigurationError: the candidate or the archive cannot be used, or `since` is no time in the past.
    """
    since = _in_the_past(wanted.since)
    if not policies and not agents:
        mend = "name the folder of its rules: `--policies DIR`, or that of its agents: `--agents DIR`"
        raise ConfigurationError("there is no candidate", mend=mend)
    settings = load_settings()
    trial = _Trial(
        candidate_of(settings, policies, agents, [wanted.agent] if wanted.agent else []), since, wanted.agent
    )
    if wanted.archive is None:
        return run_loop(_on_histories(trial, settings, output))
    space = namespace()
    archive = archive_of(settings.model_copy(update={"archive": wanted.archive}), namespace=space)
    if archive is None:
        raise ConfigurationError("`--archive` names no place", mend="write a folder, or `s3://bucket/prefix`")
    return run_loop(_on_archive(trial, archive, space, output))


def _in_the_past(since: str) -> datetime:
    began = moment(since)
    if began > datetime.now(UTC):
        raise ConfigurationError(f"`{clean(since)}` has yet to come", mend="write for example 24h, 7d or 2026-11-01")
    return began


async def _on_histories(trial: _Trial, settings: Settings, output: Output) -> int:
    silenced()
    link = await connected()
    client = link.client.temporal
    await trial.on_histories(client, link.client.task_queue, archive_of(settings, client))
    code = _told(trial, output)
    if not trial.tried:
        await said_elsewhere(link)
    return code


async def _on_archive(trial: _Trial, archive: Store, space: str, output: Output) -> int:
    await trial.on_archive(archive, Sought(space, trial.since, trial.agent), AgainstPast(trial.candidate))
    return _told(trial, output)


def _told(trial: _Trial, output: Output) -> int:
    """Writes what has come of a trial and returns the exit code."""
    changed = loosest_first(trial.tried)
    if output is Output.JSON:
        write_json(as_json(trial.tried, changed, trial.unread))
    else:
        if changed:
            write(table(changed))
        say(_summary(trial.tried, changed))
        for doubt in doubts(trial.tried, trial.unread):
            say(doubt, "yellow")
    if changed:
        return ExitCode.STOPPED
    return ExitCode.FAILED if trial.unread or any(one.now is None for one in trial.tried) else ExitCode.COMPLETED


def _summary(tried: Sequence[Tried], changed: Sequence[Tried]) -> str:
    opened = sum(one.opens for one in changed)
    were = f", {opened} of them from deny to allow" if opened else ""
    return f"{len(changed)} of {len(tried)} calls would have been decided differently{were}"
