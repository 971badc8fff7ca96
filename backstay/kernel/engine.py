"""Says which task queues the engine can hold for a stop: those that carry nothing but calls in its scope.

INVARIANT: a queue that also carries calls outside of the scope is not held, because a stop of one agent is none of
another.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from .control import Stage
from .scope import Scope, ScopeKind


class CallKind(StrEnum):
    """Names the calls that a queue carries."""

    MODELS = "models"
    TOOLS = "tools"

    @property
    def stage(self) -> Stage:
        """The last stage of a stop that closes such calls."""
        return Stage.MODELS if self is CallKind.MODELS else Stage.WRITES


@dataclass(frozen=True, slots=True)
class Traffic:
    """The calls of one kind that a queue carries.

    Attributes:
        queue: the task queue.
        kind: the calls.
        alone: False for the queue of the runs themselves, which the engine cannot hold: a worker that ends a task of
            a run begins the run's next call at once, without asking the queue.
        uses: by agent the models or tools; None where nobody says.
    """

    queue: str
    kind: CallKind
    alone: bool
    uses: Mapping[str, frozenset[str]] | None

    @property
    def calls(self) -> list[tuple[str, str]]:
        """Each agent with each of its models or tools."""
        return [(agent, name) for agent, names in sorted((self.uses or {}).items()) for name in sorted(names)]


@dataclass(frozen=True, slots=True)
class Unheld:
    """A queue with calls in scope that the engine cannot hold, and why."""

    queue: str
    kind: CallKind
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The queues with calls in scope: those that the engine holds, with their kind, and those that it cannot hold."""

    held: Mapping[str, CallKind]
    unheld: tuple[Unheld, ...]


def planned(scope: Scope, traffic: Iterable[Traffic]) -> Plan:
    """Plans which queues the engine holds for a scope."""
    held: dict[str, CallKind] = {}
    unheld: list[Unheld] = []
    for one in sorted(merged(traffic), key=lambda one: (one.queue, one.kind)):
        if one.uses is not None and not any(_touches(scope, one.kind, call) for call in one.calls):
            continue
        why = _why_not(scope, one)
        if why is None:
            held[one.queue] = one.kind
        else:
            unheld.append(Unheld(one.queue, one.kind, why))
    return Plan(held, tuple(unheld))


def merged(traffic: Iterable[Traffic]) -> list[Traffic]:
    """Adds up what several fleets say of one queue; where one of them cannot say it, nobody can."""
    found: dict[tuple[str, CallKind], Traffic] = {}
    for one in traffic:
        known = found.setdefault((one.queue, one.kind), one)
        uses = None if known.uses is None or one.uses is None else {**known.uses}
        if uses is not None:
            for agent, names in (one.uses or {}).items():
                uses[agent] = uses.get(agent, frozenset()) | names
        found[one.queue, one.kind] = Traffic(one.queue, one.kind, known.alone and one.alone, uses)
    return list(found.values())


def _why_not(scope: Scope, traffic: Traffic) -> str | None:
    """Returns why the engine cannot hold a queue with calls in scope; None where it can."""
    if not traffic.alone:
        return f"the runs' own queue carries their calls of {traffic.kind}, and workers begin those without asking it"
    if scope.kind is ScopeKind.ALL:
        return None
    if scope.kind is ScopeKind.TENANT:
        return "all tenants share it"
    if traffic.uses is None:
        return "no worker says which calls it carries"
    others = [call for call in traffic.calls if not _touches(scope, traffic.kind, call)]
    return f"it carries calls outside of the scope, such as of {others[0][0]} to {others[0][1]}" if others else None


def _touches(scope: Scope, kind: CallKind, call: tuple[str, str]) -> bool:
    """Tells whether some such calls lie in scope."""
    agent, name = call
    said = {
        ScopeKind.AGENT: agent,
        ScopeKind.MODEL: name if kind is CallKind.MODELS else None,
        ScopeKind.TOOL: name if kind is CallKind.TOOLS else None,
    }
    return scope.kind in (ScopeKind.ALL, ScopeKind.TENANT) or said[scope.kind] == scope.name
