"""Says which runs and calls a stop is about: all of them, or those of a tenant, an agent, a tool or a model."""

from dataclasses import dataclass
from enum import StrEnum

LONGEST_NAME = 200


class ScopeKind(StrEnum):
    """Names the kind of a scope."""

    ALL = "all"
    TENANT = "tenant"
    AGENT = "agent"
    TOOL = "tool"
    MODEL = "model"


_NAMED = [kind.value for kind in ScopeKind if kind is not ScopeKind.ALL]


class ScopeError(ValueError):
    """Raised for a text that names no scope."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that a run is about to do: `tool` for a call, `model` for a decision, neither for its start."""

    run_id: str
    agent: str
    tenant: str
    tool: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """A part of the fleet; `name` is empty for all of it."""

    kind: ScopeKind
    name: str = ""

    @staticmethod
    def read(text: str) -> "Scope":
        """Reads `all` or `KIND:NAME`.

        Raises:
            ScopeError: the text is neither.
        """
        kind, colon, name = text.strip().partition(":")
        if kind == ScopeKind.ALL and not colon:
            return Scope(ScopeKind.ALL)
        if kind in _NAMED and 0 < len(name) <= LONGEST_NAME and name == name.strip():
            return Scope(ScopeKind(kind), name)
        raise ScopeError(f"a scope is `all` or one of {', '.join(f'{one}:NAME' for one in _NAMED)}")

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else str(self.kind)

    def covers(self, subject: Subject) -> bool:
        """Tells whether something that a run is about to do lies in this scope."""
        said = {
            ScopeKind.TENANT: subject.tenant,
            ScopeKind.AGENT: subject.agent,
            ScopeKind.TOOL: subject.tool,
            ScopeKind.MODEL: subject.model,
        }
        return self.kind is ScopeKind.ALL or said[self.kind] == self.name

    @property
    def is_of_runs(self) -> bool:
        """True where whole runs lie in the scope, so that they are stopped; else only some of their calls do."""
        return self.kind in (ScopeKind.ALL, ScopeKind.TENANT, ScopeKind.AGENT)
