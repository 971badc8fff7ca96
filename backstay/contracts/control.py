"""Defines the messages to the control plane, and the state that workers read."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from backstay.kernel.characters import steers
from backstay.kernel.control import InForce
from backstay.kernel.scope import LONGEST_NAME, Scope

from .link import LinkInput
from .messages import Reason
from .person import Person
from .problems import Contract
from .run import Name, Tenant

MOST_CANARIES = 1_000


def _scope(text: str) -> str:
    return str(Scope.read(text))


def _tool(name: str) -> str:
    if name != name.strip() or "*" in name or any(steers(character) for character in name):
        raise ValueError("expected the whole name of one tool, such as `send_email` or `mcp:files/read_file`")
    return name


ScopeText = Annotated[str, Field(max_length=300, strict=True), AfterValidator(_scope)]
"""`all`, `tenant:T`, `agent:A`, `tool:X` or `model:M`."""
IncidentId = Annotated[str, Field(min_length=1, max_length=200, strict=True)]
ToolName = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, strict=True), AfterValidator(_tool)]
Flag = Annotated[bool, Field(strict=True)]
RunId = Annotated[str, Field(min_length=1, max_length=1_000, strict=True)]


class Order(Contract):
    """Something that a person tells the control plane, by name and with a reason."""

    by: Person
    reason: Reason


class StopOrder(Order):
    """Stops a part of the fleet.

    Attributes:
        incident_id: chosen by who asks, so that asking again is the same incident.
        scope: what is stopped.
        freeze: the runs in scope wait instead of ending.
        engine: the engine holds the calls in scope too, where they have a queue of their own.
    """

    incident_id: IncidentId
    scope: ScopeText
    freeze: Flag = False
    engine: Flag = False


class LiftOrder(Order):
    """Opens the stages of an incident up to a stage.

    Attributes:
        incident_id: the incident.
        stage: the last stage to open; `all` ends the incident.
        canaries: the runs that go first; None for all in scope.
        watch: how long they are watched before the others follow, in seconds.
    """

    incident_id: IncidentId
    stage: Literal["reads", "models", "writes", "all"] = "all"
    canaries: Annotated[list[RunId], Field(min_length=1, max_length=MOST_CANARIES)] | None = None
    watch: Annotated[int, Field(ge=1, le=86_400, strict=True)] = 60


class TripOrder(Order):
    """Closes all stages of an incident again, also for the runs that went first."""

    incident_id: IncidentId


class AccessOrder(Order):
    """Blocks a tool, or allows it again: for everybody, or for an agent, or for a tenant."""

    tool: ToolName
    agent: Name | None = None
    tenant: Tenant | None = None


class LimitOrder(Order):
    """Limits how many runs of a tenant go on at once; None takes the limit away."""

    tenant: Tenant
    runs: Annotated[int, Field(ge=0, strict=True)] | None = None


class ConfirmOrder(Order):
    """Confirms what is in force, after the control plane was lost."""


class ControlView(Contract):
    """Describes the state in force, as people and workers read it.

    Attributes:
        state: all that is in force.
        last: what was known before the control plane was lost, until somebody confirms it.
        at_ms: when this was so.
    """

    state: InForce
    last: InForce | None = None
    at_ms: int


class ControlInput(LinkInput):
    """The input of `ControlPlane`.

    Attributes:
        lost: True where one was there before, and ended without handing its state on.
        last: what that one had in force, as far as known.
        state: handed on by an earlier link alone.
    """

    handed_on: ClassVar[tuple[str, ...]] = ("state",)

    lost: bool = False
    last: InForce | None = None
    state: InForce | None = None
