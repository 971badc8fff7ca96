"""The facts about incidents in a run: a tool asked for one, or one ended the run or held it for a time."""

from dataclasses import dataclass

from .event import Event


@dataclass(frozen=True, slots=True)
class AlarmRaised(Event):
    """A tool asked for a stop; breakers are told so by its worker, and the run goes on."""

    call_id: str
    tool: str
    reason: str


@dataclass(frozen=True, slots=True)
class IncidentStopped(Event):
    """A stop of a part of the fleet ended the run."""

    incident: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Frozen(Event):
    """A stop of a part of the fleet holds the run: no decision, no action, and its time stands still."""

    incident: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Thawed(Event):
    """An incident holds the run no more; `held_ms` is how long it stood still, which its approvals gain."""

    incident: str
    by: str
    held_ms: int
