"""Who may say more to a run that is kept open, and until when."""

from dataclasses import replace

import pytest

from backstay.kernel.conversation import MOST_UNREAD_BYTES, Conversation, Speakers, Words

DESK = Speakers("Rita <rita@example.com>", ("olga", "bob"))
GOES = Conversation(kept_open=True)
WAITS = Conversation(kept_open=True, answer="yes", open_until_ms=1_000)
ASKED = Words("olga", "and?", requester=False)


def test_who_asked_for_the_run_and_members_may_speak_however_their_names_are_written() -> None:
    assert [DESK.has(by) for by in ("RITA@example.com", "Olga ", "mallory")] == [True, True, False]
    assert [DESK.asked(by) for by in ("rita@example.com", "olga")] == [True, False]
    assert [Speakers(None, ("olga",)).has(by) for by in ("olga", "rita")] == [True, False]


@pytest.mark.parametrize(
    ("conversation", "by", "text", "now_ms", "code"),
    [
        (Conversation(), "rita@example.com", "hi", 0, "NotKeptOpen"),
        (GOES, "mallory", "hi", 0, "NotASpeaker"),
        (replace(GOES, closed=True), "olga", "hi", 0, "ConversationOver"),
        (WAITS, "olga", "hi", 1_000, "ConversationOver"),
        (WAITS, "olga", None, 1_000, "ConversationOver"),
        (
            replace(GOES, unread=(Words("olga", "x" * MOST_UNREAD_BYTES, requester=False),)),
            "olga",
            "hi",
            0,
            "TooMuchUnread",
        ),
    ],
)
def test_words_are_refused_that_nobody_may_say_now(
    conversation: Conversation, by: str, text: str | None, now_ms: int, code: str
) -> None:
    refusal = conversation.refuses(by, text, DESK, now_ms)
    assert refusal is not None
    assert (refusal.code, bool(refusal.text)) == (code, True)


def test_words_count_while_a_turn_goes_on_and_until_the_time_is_over() -> None:
    for conversation, now_ms in ((GOES, 5_000), (WAITS, 999), (replace(WAITS, unread=(ASKED,)), 1_000)):
        assert conversation.refuses("olga", "hi", DESK, now_ms) is None
    full = replace(GOES, unread=(Words("olga", "x" * MOST_UNREAD_BYTES, requester=False),))
    assert full.refuses("olga", None, DESK, 0) is None


def test_words_after_an_answer_belong_to_the_next_turn_and_end_the_waiting() -> None:
    assert (GOES.next_turn, WAITS.next_turn) == (1, 2)
    assert [one.listens for one in (GOES, WAITS, replace(WAITS, unread=(ASKED,)), replace(WAITS, closed=True))] == [
        False,
        True,
        False,
        False,
    ]


def test_a_conversation_goes_on_until_it_is_closed_and_all_words_are_read() -> None:
    closed = replace(WAITS, closed=True)
    assert [one.goes_on for one in (Conversation(), WAITS, closed, replace(closed, unread=(ASKED,)))] == [
        False,
        True,
        False,
        True,
    ]
