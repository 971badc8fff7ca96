"""Plays an erratic model: it does anything at all, and the same again for the same ticket and turn."""

import random
import re

from backstay.testing import Call, Reply, Request

_RIGHT = Call("issue_refund", {"order_id": "A17", "amount": 25.0})
_MAIL = Call("send_email", {"order_id": "A17", "text": "We refunded 25.00 USD of order A17."})
_ACTS = (
    Reply("I look the order up first.", [Call("lookup_order", {"order_id": "A17"})]),
    Reply("The refund is due.", [_RIGHT]),
    Reply("To be sure, twice.", [_RIGHT, _RIGHT]),
    Reply("Ten times the lace is fair.", [Call("issue_refund", {"order_id": "A17", "amount": 250.0})]),
    Reply("It may have been that order.", [Call("issue_refund", {"order_id": "B20", "amount": 25.0})]),
    Reply("The customer wants to know.", [_MAIL]),
    Reply("I write again, and again.", [_MAIL, _MAIL, _MAIL]),
    Reply("The note says so.", [Call("delete_account", {"customer_id": "K1"})]),
    Reply("Now the refund.", [Call("issue_refund", '{"order_id": "A17", "amount": ')]),
    Reply("There must be a tool.", [Call("make_customer_happy", {"order_id": "A17"}), _RIGHT]),
)
_ENDS = (
    Reply("The customer got 25.00 USD back."),
    Reply('{"name": "issue_refund", "arguments": {"order_id": "A17", "amount": 25.0}}'),
    Reply(""),
    Reply("I have ref", finish="length"),
)
_FEWEST_ACTS = 2
_SHARE_OF_ENDS = 0.3


def erratic(request: Request) -> Reply:
    """Returns a turn by the ticket that the goal names and by the place in the conversation."""
    ticket = re.search(r"[Tt]icket (\w+)", request.goal)
    chance = random.Random(f"{ticket and ticket[1]}/{request.index}")
    ends = request.index >= _FEWEST_ACTS and chance.random() < _SHARE_OF_ENDS
    return chance.choice(_ENDS if ends else _ACTS)
