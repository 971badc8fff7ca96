"""What stands in the audit of a conversation: who spoke and when, and of the words a digest alone."""

from backstay.kernel.conversation_events import (
    ConversationClosed,
    ConversationOpened,
    TurnBegun,
    TurnEnded,
    WordsHeard,
    WordsSaid,
)
from backstay.kernel.keys import fingerprint


def test_of_words_and_answers_the_audit_keeps_digest_and_length() -> None:
    assert WordsSaid("olga", False, "canary").facts() == {
        "by": "olga",
        "requester": False,
        "digest": fingerprint("canary"),
        "characters": 6,
    }
    ended = TurnEnded(2, "canary", 9).facts()
    assert ended == {"turn": 2, "open_until_ms": 9, "digest": fingerprint("canary"), "characters": 6}


def test_the_other_facts_of_a_conversation_are_kept_whole() -> None:
    assert ConversationOpened(3_600_000, "desk").facts() == {"keep_open_ms": 3_600_000, "group": "desk"}
    assert (TurnBegun(2).facts(), WordsHeard(1).facts()) == ({"turn": 2}, {"count": 1})
    assert ConversationClosed(None).facts() == {"by": None}
