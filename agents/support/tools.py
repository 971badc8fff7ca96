"""The tools of the support agent: orders, parcels, refunds, e-mail.

`close_account` is defined here but not listed in `agent.toml`, so the agent may not call it.
"""

import asyncio
import hashlib
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from backstay.tools import NOT_HAPPENED, UNKNOWN, Happened, ToolCall, Unsettled, tool

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


@tool(effect="write", timeout="30s", groups=["payments"], items=["order_id"], texts=["reason"])
def issue_refund(call: ToolCall, order_id: str, amount: Decimal, reason: str | None = None) -> Refund:
    """Refund part or all of an order. `amount` is in USD, at most what is left of the order's total."""
    return _shop().refund(order_id, amount, reason, key=call.idempotency_key)


def was_sent(call: ToolCall, **_: object) -> Happened | Unsettled:
    """Looks for the message of a call in the local mailbox; another mail server cannot be asked."""
    message_id = _message_id(call)
    sent_to = mail.recipient_of(message_id)
    if sent_to is not None:
        return Happened(SentEmail(message_id, sent_to))
    return NOT_HAPPENED if mail.is_local() else UNKNOWN


@tool(effect="once", timeout="60s", groups=["mail"], texts=["subject", "body"], reconcile=was_sent)
def email_customer(call: ToolCall, order_id: str, subject: str, body: str) -> SentEmail:
    """Send one plain-text e-mail to the customer of an order, at the address in the order. It cannot be taken back."""
    return _sent(call, _shop().order(order_id).customer_email, subject, body)


@tool(
    effect="once",
    timeout="60s",
    groups=["mail", "external"],
    targets=["to"],
    texts=["subject", "body"],
    reconcile=was_sent,
)
def send_email(call: ToolCall, to: str, subject: str, body: str) -> SentEmail:
    """Send one plain-text e-mail to a partner of the shop, by address. It cannot be taken back."""
    return _sent(call, to, subject, body)


@tool(effect="once", timeout="30s", groups=["destructive"], items=["customer_id"])
def close_account(customer_id: str) -> Customer:
    """Close a customer's account for good. It cannot be taken back."""
    return _shop().close_account(customer_id)


def _sent(call: ToolCall, to: str, subject: str, body: str) -> SentEmail:
    message = mail.compose(to, subject, body, message_id=_message_id(call))
    return SentEmail(message_id=mail.deliver(message), to=to)


def _message_id(call: ToolCall) -> str:
    """Derives the id from the key, so that a mailbox can be searched for a message after a crash."""
    digest = hashlib.sha256(call.idempotency_key.encode()).hexdigest()
    return f"<{digest[:32]}@{mail.SENDER_DOMAIN}>"


def _shop() -> Shop:
    return Shop(home() / "shop.sqlite3")
