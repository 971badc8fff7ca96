"""The news for the next decision: results of calls, and notes of the runtime."""

from dataclasses import dataclass, field

from backstay.contracts.call import shortened
from backstay.contracts.decision import Observation

ITEM_OVERHEAD = 64
"""Tokens that a message, a call or a tool may cost beside its own text: a generous bound."""
NOTES_BYTES = 64_000
NOTE_BYTES = 200


@dataclass(slots=True)
class News:
    """The news since the last decision; `size` bounds its tokens from above, by bytes."""

    observations: list[Observation] = field(default_factory=list[Observation])
    notes: list[str] = field(default_factory=list[str])
    size: int = 0

    def weigh(self, text: str) -> None:
        """Counts a text that the next request to the model gains."""
        self.size += len(text.encode("utf-8", "replace")) + ITEM_OVERHEAD

    def observe(self, observation: Observation, text: str) -> None:
        """Adds the one result of a call; `text` is what the model reads of it."""
        self.observations.append(observation)
        self.weigh(text)

    def note(self, text: str) -> None:
        """Adds a word of the runtime, cut where all of them together would not fit into the history."""
        room = NOTES_BYTES - sum(len(note.encode()) for note in self.notes)
        shown, _ = shortened(text, max(NOTE_BYTES, room))
        self.notes.append(shown)
        self.weigh(shown)
