"""Keeps a run open after its answer, so that people may say more: who may speak, until when, and what is unread."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .approval import Refusal
from .person import people_keys, person_key

MOST_UNREAD_BYTES: Final = 200_000
"""Bounds what waits to be read: it all goes into one decision, and one message of the engine carries that."""
_OVERHEAD: Final = 1_000


@dataclass(frozen=True, slots=True)
class Words:
    """Words of a person to the run; `requester` says whether the person is the one who asked for it."""

    by: str
    text: str
    requester: bool

    @property
    def size(self) -> int:
        """The bytes that they take."""
        return len(self.text.encode("utf-8", "surrogatepass")) + _OVERHEAD


@dataclass(frozen=True, slots=True)
class Speakers:
    """The people who may speak to a run: the one who asked for it, and the members of a group."""

    requester: str | None
    members: Sequence[str] = ()

    def asked(self, by: str) -> bool:
        """Tells whether a person is the one who asked for the run."""
        return self.requester is not None and person_key(by) == person_key(self.requester)

    def has(self, by: str) -> bool:
        """Tells whether a person may speak."""
        return self.asked(by) or person_key(by) in people_keys(self.members)


@dataclass(frozen=True, slots=True)
class Conversation:
    """The conversation of a run with people, turn by turn; each turn ends with an answer.

    `unread` is what people said since the last decision. `open_until_ms` is the end of the time to say more, set while
    the turn is answered. `answer` is that of the last turn. `closed` says that no more words are taken.
    """

    kept_open: bool = False
    turn: int = 1
    answer: str | None = None
    unread: tuple[Words, ...] = ()
    open_until_ms: int | None = None
    closed: bool = False

    @property
    def goes_on(self) -> bool:
        """True where an answer does not end the run: more may be said, or was said before the conversation closed."""
        return self.kept_open and (not self.closed or bool(self.unread))

    @property
    def listens(self) -> bool:
        """True while the run waits for words."""
        return self.open_until_ms is not None and not self.unread and not self.closed

    @property
    def next_turn(self) -> int:
        """The number of the turn that words of now belong to: the present one, or the next once it is answered."""
        return self.turn if self.open_until_ms is None else self.turn + 1

    def refuses(self, by: str, text: str | None, speakers: Speakers, now_ms: int) -> Refusal | None:
        """Returns why a person's words do not count; None where they do.

        Args:
            by: who speaks.
            text: the words; None where the person only closes the conversation.
            speakers: who may speak.
            now_ms: when the words are handled, in milliseconds since the epoch.
        """
        if not self.kept_open:
            text = (
                "the run ends with its answer: `[conversation] keep_open` of the agent is not set, or nobody may speak"
            )
            return Refusal("NotKeptOpen", text)
        if not speakers.has(by):
            return Refusal("NotASpeaker", "only who asked for the run and members of the group `speakers` may speak")
        if self.closed:
            return Refusal("ConversationOver", "the conversation is closed: start another run")
        # INVARIANT: words that come with the end of the time are late, in whichever order the engine tells of both.
        if self.open_until_ms is not None and not self.unread and now_ms >= self.open_until_ms:
            return Refusal("ConversationOver", "the time to say more is over: start another run")
        if text is not None and self._is_full(Words(by, text, requester=False)):
            return Refusal("TooMuchUnread", "the run has yet to read what was said before: wait for its next decision")
        return None

    def _is_full(self, words: Words) -> bool:
        return sum(one.size for one in self.unread) + words.size > MOST_UNREAD_BYTES
