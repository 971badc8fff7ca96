"""Defines the shop's records, and reads them from rows of the database."""

import sqlite3
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum


class ParcelStatus(StrEnum):
    """The place of a parcel."""

    PACKED = "packed"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERED = "delivered"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer; `closed_at` is None while the account is open."""

    customer_id: str
    name: str
    email: str
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Order:
    """An order with what was paid and what was given back so far, in dollars."""

    order_id: str
    customer_id: str
    customer_name: str
    customer_email: str
    item: str
    placed_on: date
    total: Decimal
    refunded: Decimal


@dataclass(frozen=True, slots=True)
class Parcel:
    """The parcel of an order and its last known status."""

    order_id: str
    carrier: str
    tracking_number: str
    status: ParcelStatus
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Refund:
    """A refund that was made, in dollars."""

    refund_id: str
    order_id: str
    amount: Decimal
    reason: str | None
    created_at: datetime


def customer_of(row: sqlite3.Row) -> Customer:
    """The customer in a row of `customers`."""
    closed_at: str | None = row["closed_at"]
    return Customer(
        customer_id=row["customer_id"],
        name=row["name"],
        email=row["email"],
        closed_at=None if closed_at is None else datetime.fromisoformat(closed_at),
    )


def order_of(row: sqlite3.Row) -> Order:
    """The order in a row of `orders` with its customer and `refunded_cents` beside it."""
    return Order(
        order_id=row["order_id"],
        customer_id=row["customer_id"],
        customer_name=row["name"],
        customer_email=row["email"],
        item=row["item"],
        placed_on=date.fromisoformat(row["placed_on"]),
        total=_to_dollars(row["total_cents"]),
        refunded=_to_dollars(row["refunded_cents"]),
    )


def parcel_of(row: sqlite3.Row) -> Parcel:
    """The parcel in a row of `parcels`."""
    return Parcel(
        order_id=row["order_id"],
        carrier=row["carrier"],
        tracking_number=row["tracking_number"],
        status=ParcelStatus(row["status"]),
        updated_at=datetime.fromisoformat(row["updated_at"]),
    )


def refund_of(row: sqlite3.Row) -> Refund:
    """The refund in a row of `refunds`."""
    return Refund(
        refund_id=f"R{row['number']}",
        order_id=row["order_id"],
        amount=_to_dollars(row["amount_cents"]),
        reason=row["reason"],
        created_at=datetime.fromisoformat(row["created_at"]),
    )


def _to_dollars(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)
