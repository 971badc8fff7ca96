"""The activity that writes the conversation of earlier links into the history of a link, piece by piece."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import Field

from .conversation import Compacted, Decided, Kept, Observed, Said
from .decision import Observation
from .problems import Contract


class RecallInput(Contract):
    """Asks for a piece of the conversation as the link before has left it.

    Attributes:
        step: the step of its last decision; 0 where it made none.
        decision: the digest of that decision.
        observations: the results that no decision was told yet.
        after: how many items and results earlier pieces have.
    """

    step: int
    decision: str | None = None
    observations: list[Observation] = Field(default_factory=list[Observation])
    after: int = 0


class Recalled(Contract):
    """A piece of a conversation.

    Attributes:
        items: items of it, in their order.
        results: the recorded results that no decision was told yet, by call.
        more: whether further pieces follow.
    """

    items: list[Observed | Decided | Said | Compacted]
    results: dict[str, str] = Field(default_factory=dict[str, str])
    more: bool = False


@dataclass(frozen=True, slots=True)
class Recollection:
    """The conversation that a link began with; `step` is that of its last decision."""

    items: Sequence[Kept]
    step: int = 0
    results: Mapping[str, str] = field(default_factory=dict[str, str])
