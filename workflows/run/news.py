"""The news for the next decision: results of calls, notes of the runtime, and words of people."""

from dataclasses import dataclass, field, replace

from backstay.contracts.call import shortened
from backstay.contracts.decision import Compaction, Heard, Observation
from backstay.kernel.compacting import ITEM_OVERHEAD

SHOWN_WEIGHED = "what is shown of long words that were refused is counted"
NOTES_BYTES = 64_000
NOTE_BYTES = 200
CUT_NOTE_BYTES = 100
"""The most bytes of the note under a text that was cut."""
LEAST_SHOWN = 1_000
OMITTED = "not shown: no room"


@dataclass(slots=True)
class News:
    """The news since the last decision; `size` bounds its tokens from above, by bytes, `results` those of results.

    `texts` are the sizes of the results alone, and `counted` is what a request that failed had counted of all. Of each
    the model reads `shown` bytes, where they do not fit its window; `compaction` holds from the next decision on.
    """

    observations: list[Observation] = field(default_factory=list[Observation])
    notes: list[str] = field(default_factory=list[str])
    size: int = 0
    results: int = 0
    texts: list[int] = field(default_factory=list[int])
    counted: int = 0
    shown: int | None = None
    compaction: Compaction | None = None
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
        self.texts, self.shown = [], None
        for _ in self.observations:
            self._weigh_result(OMITTED)

    def cut(self, room: int) -> None:
        """Shows less of long results, so that all that is told fits a room of tokens: at least a beginning of each."""
        if self.size <= room or not self.texts:
            return
        each = (room - (self.size - sum(self.texts))) // len(self.texts) - CUT_NOTE_BYTES
        shown = max(LEAST_SHOWN, each)
        less = sum(max(0, text - shown - CUT_NOTE_BYTES) for text in self.texts)
        if less and (self.shown is None or shown < self.shown):
            self.shown, self.size, self.results = shown, self.size - less, self.results - less
            self.texts = [min(text, shown + CUT_NOTE_BYTES) for text in self.texts]

    def again(self) -> "News":
        """Returns the same for another decision, after one that failed: its hold has counted them."""
        return replace(self, size=0, results=0, counted=self.counted + self.size)

    def halve(self) -> bool:
        """Shows half of the longest result at the most; False where too little is left of it for that."""
        half = max(self.texts, default=0) // 2
        if half < LEAST_SHOWN:
            return False
        self.shown, self.texts = half, [min(text, half) for text in self.texts]
        return True

    def note(self, text: str) -> None:
        """Adds a word of the runtime, cut where all of them together would not fit into the history."""
        room = NOTES_BYTES - sum(len(note.encode()) for note in self.notes)
        shown, _ = shortened(text, max(NOTE_BYTES, room))
        self.notes.append(shown)
        self.weigh(shown)

    def _weigh_result(self, text: str) -> None:
        before = self.size
        self.weigh(text)
        self.texts.append(self.size - before - ITEM_OVERHEAD)
        self.results += self.size - before
