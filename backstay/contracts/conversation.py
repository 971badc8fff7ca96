"""The conversation of a run in words both model APIs share, and one request to a model."""

from dataclasses import dataclass, field

from backstay.kernel.price import Price

from .admission import ModelSpec, ToolSpec
from .decision import BilledUsage, Compaction, Decision


@dataclass(frozen=True, slots=True)
class Said:
    """A text from the user's side: the goal, a note of the runtime between two decisions, or words of a person.

    `heard` are the words themselves, where a person said them. `by_requester` says whether that is who asked for the
    run, `opens` whether the words came after an answer, which stands before them.
    """

    text: str
    heard: str | None = None
    by_requester: bool = False
    opens: bool = False


@dataclass(frozen=True, slots=True)
class Decided:
    """A reply of the model, with the calls it proposed."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Observed:
    """The result of one proposed call; `refused` where it did not fit its tool, `denied` where it was not executed.

    `labels` are those of what a child run has read, beside the marks of the tool. Where the text does not fit the
    model's window, the model reads `shown` bytes of it.
    """

    call_id: str
    text: str
    refused: bool = False
    denied: bool = False
    labels: tuple[str, ...] = ()
    shown: int | None = None


@dataclass(frozen=True, slots=True)
class Compacted:
    """Marks the place from which on a compaction holds; all items before it stay."""

    compaction: Compaction


Item = Said | Decided | Observed
Kept = Item | Compacted
"""What is kept of a conversation. The model reads a view of it; where values come from is told by all of it."""


@dataclass(slots=True)
class Written:
    """Holds what an adapter has written of a conversation so far, so that it writes each item once.

    `of` is the adapter's own, and `weight` its bytes of memory. Whoever keeps the conversation keeps it too, and may
    drop it at any time.
    """

    of: object = None
    weight: int = 0


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One request to a model. `idempotency_key` is the same for every attempt at one decision.

    `tools` are those of the run; `offers` is False where none of them may be called any more. The first `settled` items
    are the same in all later requests that have the same `written`.
    """

    model: ModelSpec
    instructions: str
    tools: tuple[ToolSpec, ...]
    conversation: tuple[Item, ...]
    max_output_tokens: int
    idempotency_key: str
    offers: bool = True
    settled: int = 0
    written: Written = field(default_factory=Written, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ModelReply:
    """A reply that was understood; `usage` is None where the report was missing or contradicts itself.

    `model` is the model that replied, as the server names it, and `price` its known price where that is another model
    than was asked for.
    """

    decision: Decision
    usage: BilledUsage | None
    model: str | None
    price: Price | None = None
