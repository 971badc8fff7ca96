"""`backstay incident`: orders stops and lifts, watches their sweeps, and reports run by run."""

import asyncio
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.client import Client

from backstay.client import control_plane
from backstay.client.incidents import Report, progress
from backstay.client.incidents import report as report_of
from backstay.contracts.control import LiftOrder, StopOrder
from backstay.contracts.incident import IncidentView
from backstay.errors import ConfigurationError, OrderRefusedError
from backstay.kernel.control import Incident, InForce, Mode
from backstay.kernel.scope import Scope, ScopeError
from backstay.tools.declare import seconds

from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.order import order
from ..shell.program import program
from ..shell.terminal import Output, say, word, write, write_json
from ..views.incident import engine_lines, incident_json, incidents_table, moment, report_json, report_table

_EVERY_SECONDS = 0.5
_SILENT_SECONDS = 10.0
"""The seconds in which a sweep begins; after them the command says that no worker begins it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A stop as it was typed."""

    scope: str
    freeze: bool
    reason: str
    by: str | None
    incident_id: str | None
    engine: bool = False

    def order(self, known: InForce) -> StopOrder:
        """Returns the order; a stop of the same scope that is in force already is the same one, unless an id is given.

        Raises:
            ConfigurationError: a word does not fit.
        """
        try:
            scope = Scope.read(self.scope)
        except ScopeError as error:
            raise ConfigurationError(str(error), where="`--scope`") from None
        mode = Mode.FREEZE if self.freeze else Mode.STOP
        same = [one.id for one in known.stops if (one.scope, one.mode) == (scope, mode)]
        incident_id = self.incident_id or (same or [_new_id()])[0]
        fields = {"incident_id": incident_id, "scope": self.scope, "freeze": self.freeze, "engine": self.engine}
        return order(StopOrder, self.by, self.reason, **fields)


@dataclass(frozen=True, slots=True)
class Opened:
    """A lift as it was typed."""

    stage: str
    canary: int | None
    watch: str
    reason: str
    by: str | None

    def order(self, incident_id: str, canaries: list[str] | None) -> LiftOrder:
        """Returns the order.

        Raises:
            ConfigurationError: a word does not fit.
        """
        try:
            watch = max(1, round(seconds(self.watch)))
        except ValueError as error:
            raise ConfigurationError(str(error), where="`--watch`", mend="write for example `--watch 60s`") from None
        fields = {"incident_id": incident_id, "stage": self.stage, "watch": watch, "canaries": canaries}
        return order(LiftOrder, self.by, self.reason, **fields)


def stop(asked: Asked, output: Output, *, wait: bool) -> int:
    """Runs `backstay incident stop` and returns its exit code."""
    return run_loop(_stop(asked, output, wait=wait))


async def _stop(asked: Asked, output: Output, *, wait: bool) -> int:
    client = (await connected()).client.temporal
    plane = await control_plane.in_force(client)
    asks = asked.order(plane.view.state if plane.view else InForce())
    try:
        view = await control_plane.stop(client, asks)
    except OrderRefusedError as error:
        raise ConfigurationError(str(error), where="`--id`", mend="leave it out for a new incident") from None
    incident = view.state.incidents[asks.incident_id]
    say(f"in force since {moment(incident.told.at_ms)} as {word(incident.id)}: {_closed(incident)}")
    say(f"lift it: {program()} incident lift {word(incident.id)} --reason WHY")
    if wait or not incident.scope.is_of_runs:
        return _told(await _watched(client, incident.id), incident, output)
    if output is Output.JSON:
        write_json(report_json(incident, None))
    if incident.engine:
        say(f"what the engine holds is shown by {program()} incident status {word(incident.id)}")
    say(f"the sweep goes on; see it: {program()} incident report {word(incident.id)} --wait")
    return ExitCode.COMPLETED


def lift(incident_id: str, opened: Opened, output: Output) -> int:
    """Runs `backstay incident lift` and returns its exit code."""
    return run_loop(_lift(incident_id, opened, output))


async def _lift(incident_id: str, opened: Opened, output: Output) -> int:
    client = (await connected()).client.temporal
    canaries = None if opened.canary is None else await _first(client, incident_id, opened.canary)
    try:
        view = await control_plane.lift(client, opened.order(incident_id, canaries))
    except OrderRefusedError as error:
        return _unknown(f"{incident_id}: {error}", output)
    incident = view.state.incidents[incident_id]
    if output is Output.JSON:
        write_json(incident_json(incident, None))
    elif canaries:
        say(f"{len(canaries)} runs go first, watched for {opened.watch}: {', '.join(map(word, canaries[:10]))}")
    elif incident.ended_ms is not None:
        say(f"{word(incident_id)} is lifted: {incident.scope} goes on, new runs start again")
    else:
        say(f"{word(incident_id)} is lifted up to {opened.stage}; {_closed(incident)}")
    return ExitCode.COMPLETED


async def _first(client: Client, incident_id: str, count: int) -> list[str]:
    """Returns the frozen runs that go first.

    Raises:
        ConfigurationError: there are none.
    """
    found = await report_of(client, incident_id)
    frozen = [one.run_id for one in found.runs if one.outcome == "frozen"] if found else []
    if count < 1 or not frozen:
        problem = "at least one run goes first" if count < 1 else "the incident has frozen no run that could go first"
        raise ConfigurationError(problem, where="`--canary`", mend="leave it out to lift the stop for all")
    return frozen[:count]


def status(incident_id: str | None, output: Output) -> int:
    """Runs `backstay incident status` and returns its exit code."""
    return run_loop(_shown(incident_id, output, ended=incident_id is not None))


def listed(output: Output) -> int:
    """Runs `backstay incident list` and returns its exit code."""
    return run_loop(_shown(None, output, ended=True))


async def _shown(incident_id: str | None, output: Output, *, ended: bool) -> int:
    client = (await connected()).client.temporal
    plane = await control_plane.in_force(client)
    state = plane.view.state if plane.view else InForce()
    if plane.view and plane.view.last and not state.confirmed:
        state = state.confirm(plane.view.last)
        say(f"the control plane was lost; this is what was known last. Confirm it: {program()} control confirm")
    wanted = [one for one in state.incidents.values() if incident_id in (None, one.id) and (ended or not one.ended_ms)]
    if incident_id is not None and not wanted:
        return _unknown(f"{incident_id}: there is no incident of that id", output)
    views = {one.id: await progress(client, one.id) for one in wanted}
    if output is Output.JSON:
        write_json({"incidents": [incident_json(one, views[one.id]) for one in wanted]})
    elif wanted:
        write(incidents_table(wanted, views))
        _tell_engine([view for one in wanted if (view := views[one.id]) is not None and one.ended_ms is None])
    else:
        say("nothing is stopped" if not ended else "there was no incident")
    return ExitCode.COMPLETED


def _tell_engine(views: Iterable[IncidentView]) -> None:
    """Says of each incident in force which queues the engine holds for it, and which it cannot hold."""
    for view in views:
        for line in engine_lines(view.engine) if view.engine else []:
            say(f"{word(view.incident.id)}: {line}")


def report(incident_id: str, output: Output, *, wait: bool) -> int:
    """Runs `backstay incident report` and returns its exit code."""
    return run_loop(_report(incident_id, output, wait=wait))


async def _report(incident_id: str, output: Output, *, wait: bool) -> int:
    client = (await connected()).client.temporal
    if await report_of(client, incident_id) is None:
        return _unknown(f"{incident_id}: there is no incident of that id", output)
    found = await _watched(client, incident_id) if wait else await report_of(client, incident_id)
    return _told(found, None, output)


async def _watched(client: Client, incident_id: str) -> Report | None:
    """Waits until each run is accounted for, or will not obey, and says meanwhile how far the sweep has come."""
    said: Mapping[str, int] | None = None
    waited = 0.0
    while (view := await progress(client, incident_id)) is None or not _is_known(view):
        if view is not None and (now := {**view.counts, "still moving": view.moving}) != said:
            said = now
            say("swept: " + ", ".join(f"{count} {words(name)}" for name, count in now.items()))
        if view is None and waited <= _SILENT_SECONDS < waited + _EVERY_SECONDS:
            say("no worker has begun the sweep: the stop holds, and the sweep begins with the next worker")
        waited += _EVERY_SECONDS
        await asyncio.sleep(_EVERY_SECONDS)
    return await report_of(client, incident_id)


def _told(found: Report | None, incident: Incident | None, output: Output) -> int:
    stopped = found.view.incident if found else incident
    if found is not None and found.view.engine is not None and found.view.incident.ended_ms is None:
        for line in engine_lines(found.view.engine):
            say(line)
    if output is Output.JSON and stopped is not None:
        write_json(report_json(stopped, found))
    elif found is not None and len(found.runs):
        write(report_table(found))
    elif stopped is not None:
        say(f"no run was in the scope {stopped.scope}" if stopped.scope.is_of_runs else "runs in progress go on")
    if found is not None and not found.whole:
        say("no worker answers for the runs one by one: these are the counts")
    return ExitCode.COMPLETED if found is not None and found.accounted else ExitCode.FAILED


def _is_known(view: IncidentView) -> bool:
    """Tells whether each run is accounted for, and what the engine holds, where it was asked to hold anything."""
    return view.done and (view.engine is not None or not view.incident.engine)


def words(outcome: str) -> str:
    """Returns an outcome as people read it."""
    return outcome.replace("_", " ")


def _closed(incident: Incident) -> str:
    """Says in words what an incident keeps from going on."""
    scope = incident.scope
    if scope.is_of_runs:
        return f"new starts, decisions and effects of {scope} wait or are refused, unless their stage is open"
    return f"{'decisions of' if scope.kind == 'model' else 'calls of'} {scope.name} wait; the runs go on"


def _unknown(text: str, output: Output) -> int:
    if output is Output.JSON:
        error = {"code": "IncidentUnknown", "what": text, "why": None, "do": "see `backstay incident list`"}
        write_json({"error": error})
    say(f"{text}. See: {program()} incident list")
    return ExitCode.NOT_FOUND


def _new_id() -> str:
    return f"inc-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
