"""What the support agent can do: orders, parcels, refunds, e-mail.

`close_account` is defined here but not listed in `agent.toml`, so the agent may not call it.
"""

import asyncio
import hashlib
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from backstay.tools import ToolCall, tool

from . import mail
from .records import Customer, Order, Parcel, Refund
from .shop import Shop, home

POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class SentEmail:
    """A message the mail server accepted."""

    message_id: str
    to: str


@tool(effect="read", timeout="15s")
def lookup_order(order_id: str) -> Order:
    """Look up one order: its customer and e-mail address, item, total, and what was refunded so far (USD)."""
    return _shop().order(order_id)


@tool(effect="read", timeout="15s")
def search_orders(email: str) -> list[Order]:
    """Find all orders of the customer with this e-mail address."""
    return _shop().search_orders(email)


@tool(effect="read", timeout="90s", repeatable=True)
async def track_parcel(order_id: str, wait_seconds: Annotated[int, Field(ge=0, le=60)] = 0) -> Parcel:
    """Tell where the parcel of an order is. Waits up to `wait_seconds` (0 to 60) for its status to change."""
    shop = await asyncio.to_thread(_shop)
    give_up_at = time.monotonic() + wait_seconds
    first = parcel = await asyncio.to_thread(shop.parcel, order_id)
    while parcel.status == first.status and (left := give_up_at - time.monotonic()) > 0:
        await asyncio.sleep(min(POLL_SECONDS, left))
        parcel = await asyncio.to_thread(shop.parcel, order_id)
    return parcel


@tool(effect="write", timeout="30s", groups=["payments"])
def issue_refund(call: ToolCall, order_id: str, amount: Decimal, reason: str | None = None) -> Refund:
    """Refund part or all of an order. `amount` is in USD, at most what is left of the order's total."""
    return _shop().refund(order_id, amount, reason, key=call.idempotency_key)


@tool(effect="once", timeout="60s", groups=["external"])
def send_email(call: ToolCall, to: str, subject: str, body: str) -> SentEmail:
    """Send one plain-text e-mail to one address. It cannot be taken back."""
    # Derived from the key, so that a message whose sending was interrupted can be looked for in a mailbox.
    digest = hashlib.sha256(call.idempotency_key.encode()).hexdigest()
    message = mail.compose(to, subject, body, message_id=f"<{digest[:32]}@{mail.SENDER_DOMAIN}>")
    return SentEmail(message_id=mail.deliver(message), to=to)


@tool(effect="once", timeout="30s", groups=["destructive"])
def close_account(customer_id: str) -> Customer:
    """Close a customer's account for good. It cannot be taken back."""
    return _shop().close_account(customer_id)


def _shop() -> Shop:
    return Shop(home() / "shop.sqlite3")
