"""The facts about a conversation that grew too long for its model."""

from dataclasses import dataclass

from .budget import Amount
from .event import Event


@dataclass(frozen=True, slots=True)
class CompactionHeld(Event):
    """The worst case of a request for a summary is reserved: it is no step, and counts as a call of the model."""

    number: int
    attempts: int
    input_tokens: int
    max_output_tokens: int
    amount: Amount


@dataclass(frozen=True, slots=True)
class CompactionSettled(Event):
    """The hold of a request for a summary was replaced by its bill.

    `asked` is the model where that is not the run's own, `model` the one that replied, as the server names it.
    """

    number: int
    amount: Amount
    usd_unbilled: int
    lost_attempts: int
    asked: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Compacted(Event):
    """Older turns are told to the model in short from now on; transcript and history keep them.

    `how` is `summarised` by the model or `truncated`. The items of the transcript from `first_item` to `last_item` lost
    at least their results. `replaced` is a digest of what the model read of the conversation before, `summary` one of
    the words in its place, and `context_tokens` bounds what the next request repeats, where it was `tokens_before`.
    """

    number: int
    how: str
    first_item: int
    last_item: int
    replaced: str
    summary: str | None
    tokens_before: int
    context_tokens: int
