"""Holds the state of the control plane as one value: stops of parts of the fleet, tools that are blocked, limits.

INVARIANT: a state that nobody confirmed allows nothing but reads, because with the control plane a stop may have been
lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from .scope import Scope, Subject

UNCONFIRMED = "the control plane was lost, and nobody has confirmed what is in force"
REMEMBERED = 50
"""The ended incidents that are still listed."""


class Stage(StrEnum):
    """Names the stages of a stop, in the order in which they are lifted again."""

    READS = "reads"
    MODELS = "models"
    WRITES = "writes"
    STARTS = "all"


class Mode(StrEnum):
    """Names the fate of the runs in scope: they end, or they wait until the stop is lifted."""

    STOP = "stop"
    FREEZE = "freeze"


class Refused(StrEnum):
    """Why a change was not made."""

    UNKNOWN = "unknown_incident"
    ENDED = "incident_ended"
    OTHER = "other_incident"


@dataclass(frozen=True, slots=True)
class Told:
    """Records a change: by whom, why, and when."""

    by: str
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Canary:
    """Runs that go before the others: once they were watched for a time without failing, the others follow.

    Attributes:
        runs: the ids of the runs, through all stages.
        stage: the last stage that is opened for the others afterwards.
        watch_s: how long they are watched, in seconds.
    """

    runs: frozenset[str]
    stage: Stage
    watch_s: int


@dataclass(frozen=True, slots=True)
class Incident:
    """A stop of a part of the fleet.

    Attributes:
        id: names it; whoever asks for it again gets the same one.
        scope: what it is about.
        mode: what becomes of the runs in scope.
        told: who asked for it.
        open: the stages that were opened again.
        canary: the runs that go on before the others; None where none do.
        lifted: who opened stages, the latest last.
        ended_ms: when it was lifted whole; None while it is in force.
        engine: the engine holds the calls too, where they have a queue of their own.
    """

    id: str
    scope: Scope
    mode: Mode
    told: Told
    open: frozenset[Stage] = frozenset()
    canary: Canary | None = None
    lifted: tuple[Told, ...] = ()
    ended_ms: int | None = None
    engine: bool = False

    @property
    def whole(self) -> bool:
        """True while no stage is open and no run goes before the others: never lifted, or in force again."""
        return self.ended_ms is None and not self.open and self.canary is None

    def closes(self, stage: Stage, subject: Subject) -> bool:
        """Tells whether the incident keeps a run from going through a stage."""
        return stage not in self.open and not self.frees(subject.run_id) and self.scope.covers(subject)

    def frees(self, run_id: str) -> bool:
        """Tells whether a run goes through all stages, because it is watched, or because the incident is over."""
        return self.ended_ms is not None or (self.canary is not None and run_id in self.canary.runs)

    def wants_engine(self, stage: Stage) -> bool:
        """Tells whether the engine holds the calls of a stage.

        It knows no runs: once some go first it lets all calls through, and workers alone hold those of the others.
        """
        return self.engine and self.ended_ms is None and self.canary is None and stage not in self.open

    def lets_go(self, run_id: str) -> bool:
        """Tells whether a frozen run may move again; from then on it waits where a stage is closed."""
        return bool(self.open) or self.frees(run_id)


@dataclass(frozen=True, slots=True)
class Block:
    """A tool that may not be called: by nobody, or not by an agent, or not for a tenant."""

    tool: str
    agent: str | None
    tenant: str | None
    told: Told

    def covers(self, subject: Subject) -> bool:
        """Tells whether a call is blocked."""
        of_agent = self.agent is None or self.agent == subject.agent
        return subject.tool == self.tool and of_agent and (self.tenant is None or self.tenant == subject.tenant)


@dataclass(frozen=True, slots=True)
class Held:
    """Why something may not begin now: the incident that holds it, or none where nobody knows what is in force."""

    incident: str | None
    why: str


@dataclass(frozen=True, slots=True)
class InForce:
    """All that is in force, and the incidents that ended last.

    Attributes:
        confirmed: False after the control plane was lost, until somebody confirms what is in force.
        incidents: by id, in the order in which they came.
        blocks: the blocked tools.
        runs: the most runs at once, by tenant.
        version: grows with each change.
    """

    confirmed: bool = True
    incidents: Mapping[str, Incident] = field(default_factory=dict[str, Incident])
    blocks: tuple[Block, ...] = ()
    runs: Mapping[str, int] = field(default_factory=dict[str, int])
    version: int = 0

    @property
    def stops(self) -> list[Incident]:
        """The incidents that are in force."""
        return [one for one in self.incidents.values() if one.ended_ms is None]

    def holds(self, stage: Stage, subject: Subject) -> Held | None:
        """Returns why a run may not go through a stage now; None where it may."""
        for incident in self.stops:
            if incident.closes(stage, subject):
                return Held(incident.id, f"{incident.scope} is stopped by {incident.told.by}: {incident.told.reason}")
        if not self.confirmed and stage is not Stage.READS:
            return Held(None, UNCONFIRMED)
        return None

    def blocked(self, subject: Subject) -> Block | None:
        """Returns the block of a call; None where its tool may be called."""
        return next((block for block in self.blocks if block.covers(subject)), None)

    def at_once(self, tenant: str) -> int | None:
        """Returns how many runs of a tenant may go on at once; None where the control plane sets no limit."""
        return self.runs.get(tenant)

    def stop(self, incident: Incident) -> "InForce | Refused":
        """Puts an incident in force; one that is known by the same id and is the same changes nothing.

        The engine may be called in later, and stays in until the incident is lifted.
        """
        known = self.incidents.get(incident.id)
        if known is None:
            return self._with(incident)
        same = (known.scope, known.mode) == (incident.scope, incident.mode)
        if not same:
            return Refused.OTHER
        if known.ended_ms is not None:
            return Refused.ENDED
        return self._with(replace(known, engine=True)) if incident.engine and not known.engine else self

    def lift(self, incident_id: str, stage: Stage, told: Told, canary: Canary | None = None) -> "InForce | Refused":
        """Opens the stages of an incident up to a stage, for all runs in scope or for some of them first.

        Args:
            incident_id: the incident.
            stage: the last stage to open; `all` ends the incident.
            told: who asks for it.
            canary: the runs that go first; None for all runs.
        """
        incident = self.incidents.get(incident_id)
        if incident is None:
            return Refused.UNKNOWN
        if incident.ended_ms is not None:
            return Refused.ENDED
        lifted = (*incident.lifted, told)
        if canary is not None:
            return self._with(replace(incident, canary=canary, lifted=lifted))
        stages = list(Stage)
        opened = incident.open | frozenset(stages[: stages.index(stage) + 1])
        ended = told.at_ms if stage is Stage.STARTS else None
        return self._with(replace(incident, open=opened, canary=None, lifted=lifted, ended_ms=ended))

    def trip_again(self, incident_id: str, told: Told) -> "InForce | Refused":
        """Closes all stages of an incident again, also for the runs that went first."""
        incident = self.incidents.get(incident_id)
        if incident is None:
            return Refused.UNKNOWN
        if incident.ended_ms is not None:
            return Refused.ENDED
        closed = replace(incident, open=frozenset(), canary=None, lifted=(*incident.lifted, told))
        return self._with(closed)

    def block(self, block: Block) -> "InForce":
        """Blocks a tool; one that is blocked in the same words stays so."""
        others = tuple(one for one in self.blocks if not _same(one, block))
        return replace(self, blocks=(*others, block), version=self.version + 1)

    def allow(self, block: Block) -> "InForce":
        """Takes back the block of the same tool, agent and tenant."""
        others = tuple(one for one in self.blocks if not _same(one, block))
        return self if others == self.blocks else replace(self, blocks=others, version=self.version + 1)

    def limit(self, tenant: str, runs: int | None) -> "InForce":
        """Limits the runs at once of a tenant; None takes the limit away."""
        limits = {name: most for name, most in self.runs.items() if name != tenant}
        if runs is not None:
            limits[tenant] = runs
        return replace(self, runs=limits, version=self.version + 1)

    def confirm(self, last: "InForce") -> "InForce":
        """Puts the last known state in force again, with all that has come since."""
        incidents = {**last.incidents, **self.incidents}
        blocks = (*(one for one in last.blocks if not any(_same(one, two) for two in self.blocks)), *self.blocks)
        version = max(last.version, self.version) + 1
        return InForce(True, incidents, blocks, {**last.runs, **self.runs}, version)

    def _with(self, incident: Incident) -> "InForce":
        incidents = {**self.incidents, incident.id: incident}
        ended = [one.id for one in incidents.values() if one.ended_ms is not None]
        for forgotten in ended[:-REMEMBERED]:
            del incidents[forgotten]
        return replace(self, incidents=incidents, version=self.version + 1)


def _same(one: Block, other: Block) -> bool:
    return (one.tool, one.agent, one.tenant) == (other.tool, other.agent, other.tenant)


def stops_runs(incident: Incident) -> bool:
    """Tells whether an incident ends whole runs: one about a tool or a model only holds some of their calls."""
    return incident.mode is Mode.STOP and incident.scope.is_of_runs
