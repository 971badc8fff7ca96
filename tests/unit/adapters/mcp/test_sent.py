"""What became of a request is noted for whoever made it."""

import asyncio

from backstay.adapters.mcp.sent import Requests, Sent, noting


def test_a_request_is_noted_for_whoever_makes_it() -> None:
    requests = Requests()
    with noting() as sent:
        assert requests.begin(1) is sent
    assert requests.of(1) is sent
    assert not sent.answered
    requests.answer(1)
    assert sent.answered
    assert requests.of(1) is None


def test_of_two_answers_the_first_counts_and_one_to_nobody_is_none() -> None:
    requests = Requests()
    with noting() as sent:
        requests.begin("a")
    for request in ("a", "a", "b", None):
        requests.answer(request)
    assert sent.answered


def test_a_request_that_nobody_asks_about_is_noted_too() -> None:
    requests = Requests()
    assert requests.begin(1) == Sent()
    assert requests.begin(1) is requests.of(1)


async def test_the_notes_of_one_task_are_not_those_of_another() -> None:
    requests = Requests()

    async def one(number: int) -> Sent:
        with noting() as sent:
            await asyncio.sleep(0)
            requests.begin(number)
            return sent

    found = await asyncio.gather(*(one(number) for number in range(3)))
    assert [requests.of(number) is sent for number, sent in enumerate(found)] == [True] * 3
