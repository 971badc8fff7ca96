"""The erratic model does anything at all, and the same again for the same ticket and turn."""

from backstay.compare.erratic import erratic
from backstay.testing import Api, Request


def request(ticket: int, index: int, api: Api = Api.CHAT) -> Request:
    goal = f"Ticket {ticket:02}: refund"
    return Request(api, "", {}, {}, b"", goal, None, index, 1, 0.0)


def test_both_sides_get_the_same_turn_and_a_process_that_starts_again_too() -> None:
    for ticket, index in ((1, 0), (7, 3), (20, 9)):
        assert erratic(request(ticket, index)) == erratic(request(ticket, index, Api.RESPONSES))


def test_tickets_differ() -> None:
    assert len({str(erratic(request(ticket, 0))) for ticket in range(20)}) > 5


def test_every_ticket_acts_first_and_comes_to_an_end() -> None:
    for ticket in range(1, 100):
        assert erratic(request(ticket, 0)).calls
        assert erratic(request(ticket, 1)).calls
        assert any(not erratic(request(ticket, index)).calls for index in range(40))
