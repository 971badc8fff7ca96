"""The news for the next decision: results of calls, notes of the runtime, and words of people."""

from dataclasses import dataclass, field

from backstay.contracts.call import shortened
from backstay.contracts.decision import Heard, Observation

ITEM_OVERHEAD = 64
"""Tokens that a message, a call or a tool may cost beside its own text: a generous bound."""
SHOWN_WEIGHED = "what is shown of long words that were refused is counted"
NOTES_BYTES = 64_000
NOTE_BYTES = 200
OMITTED = "not shown: no room"


@dataclass(slots=True)
class News:
    """The news since the last decision; `size` bounds its tokens from above, by bytes, `results` those of results."""

    observations: list[Observation] = field(default_factory=list[Observation])
    notes: list[str] = field(default_factory=list[str])
    size: int = 0
    results: int = 0
    heard: list[Heard] = field(default_factory=list[Heard])

    def weigh(self, text: str) -> None:
        """Counts a text that the next request to the model gains."""
        self.size += len(text.encode("utf-8", "replace")) + ITEM_OVERHEAD

    def observe(self, observation: Observation, text: str) -> None:
        """Adds the one result of a call; `text` is what the model reads of it."""
        self.observations.append(observation)
        self._weigh_result(text)

    def hear(self, heard: Heard) -> None:
        """Adds words of a person."""
        self.heard.append(heard)
        self.weigh(heard.shown)

    def omit_results(self) -> None:
        """Leaves out the texts of results, where the budget has no room for them; each call keeps its place."""
        self.observations = [one.model_copy(update={"text": OMITTED, "digest": None}) for one in self.observations]
        self.size, self.results = self.size - self.results, 0
        for _ in self.observations:
            self._weigh_result(OMITTED)

    def note(self, text: str) -> None:
        """Adds a word of the runtime, cut where all of them together would not fit into the history."""
        room = NOTES_BYTES - sum(len(note.encode()) for note in self.notes)
        shown, _ = shortened(text, max(NOTE_BYTES, room))
        self.notes.append(shown)
        self.weigh(shown)

    def _weigh_result(self, text: str) -> None:
        before = self.size
        self.weigh(text)
        self.results += self.size - before
