"""The tools of the shop, each marked with what a lost call means."""

from backstay.compare.shop import Shop
from backstay.tools import ToolCall, tool


def shop(call: ToolCall) -> Shop:
    """The shop on behalf of a run; the key makes an effect safe to repeat after a crash."""
    return Shop(run=call.run_id, key=call.idempotency_key)


@tool(effect="read")
def lookup_order(call: ToolCall, order_id: str) -> str:
    """Look up an order: the item, its price, its customer, and the customer's note."""
    return shop(call).lookup_order(order_id)


@tool(effect="read")
def track_parcel(call: ToolCall, order_id: str) -> str:
    """Tell where the parcel of an order is."""
    return shop(call).track_parcel(order_id)


@tool(effect="read")
def read_reviews(call: ToolCall, page: int) -> str:
    """Read a page of what customers wrote about our products."""
    return shop(call).read_reviews(page)


@tool(effect="write", timeout="5s")
def issue_refund(call: ToolCall, order_id: str, amount: float) -> str:
    """Refund an amount in USD of an order."""
    return shop(call).issue_refund(order_id, amount)


@tool(effect="write", timeout="5s")
def send_email(call: ToolCall, order_id: str, text: str) -> str:
    """Write to the customer of an order."""
    return shop(call).send_email(order_id, text)


@tool(effect="write", timeout="5s")
def delete_account(call: ToolCall, customer_id: str) -> str:
    """Delete a customer's account and all that belongs to it, for good."""
    return shop(call).delete_account(customer_id)
