"""Keeps the shop's records: customers, orders, parcels and refunds in one SQLite file.

Every operation opens its own connection and runs one short transaction, so any number of threads and
processes may use the same file. Money is integer cents inside and a `Decimal` of dollars at the edges.
"""

import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from backstay.tools import ToolError

from .records import (
    Customer,
    Order,
    Parcel,
    ParcelStatus,
    Refund,
    customer_of,
    order_of,
    parcel_of,
    refund_of,
)

BUSY_SECONDS = 10.0
LARGEST_AMOUNT = Decimal("1000000000")

SCHEMA = (
    """CREATE TABLE customers (
        customer_id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        email TEXT NOT NULL UNIQUE COLLATE NOCASE,
        closed_at TEXT
    ) STRICT""",
    """CREATE TABLE orders (
        order_id TEXT PRIMARY KEY,
        customer_id TEXT NOT NULL REFERENCES customers,
        item TEXT NOT NULL,
        placed_on TEXT NOT NULL,
        total_cents INTEGER NOT NULL CHECK (total_cents > 0)
    ) STRICT""",
    """CREATE TABLE parcels (
        order_id TEXT PRIMARY KEY REFERENCES orders,
        carrier TEXT NOT NULL,
        tracking_number TEXT NOT NULL UNIQUE,
        status TEXT NOT NULL,
        updated_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE refunds (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        idempotency_key TEXT NOT NULL UNIQUE CHECK (idempotency_key <> ''),
        order_id TEXT NOT NULL REFERENCES orders,
        amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
        reason TEXT,
        created_at TEXT NOT NULL
    ) STRICT""",
)

CUSTOMERS = (
    ("K1", "Ann Lee", "ann@example.com"),
    ("K2", "Bo Novak", "bo@example.org"),
    ("K3", "Chidi Okafor", "chidi@example.com"),
    ("K4", "Dana Ruiz", "dana@example.org"),
)
ORDERS = (
    ("A17", "K1", "hiking boots", "2025-03-03", 18_000),
    ("A18", "K1", "rain jacket", "2025-03-10", 4_990),
    ("B20", "K2", "carbon road bike", "2025-02-20", 600_000),
    ("B21", "K2", "water bottle", "2025-03-11", 1_525),
    ("C30", "K3", "four-season tent", "2025-03-12", 89_999),
)
PARCELS = (
    ("A17", "Parcelway", "PW-1017", "delivered", "2025-03-06T10:15:00+00:00"),
    ("A18", "Parcelway", "PW-1018", "in_transit", "2025-03-12T08:00:00+00:00"),
    ("B20", "Heavy Freight", "HF-2020", "out_for_delivery", "2025-03-12T06:30:00+00:00"),
    ("B21", "Parcelway", "PW-1021", "packed", "2025-03-12T16:45:00+00:00"),
)

ORDER_QUERY = """SELECT o.*, c.name, c.email,
    (SELECT coalesce(sum(amount_cents), 0) FROM refunds r WHERE r.order_id = o.order_id) AS refunded_cents
    FROM orders o JOIN customers c USING (customer_id)"""


def home() -> Path:
    """Returns the folder of the shop's files: `SHOP_HOME`, else `.backstay/shop` in the working directory."""
    return Path(os.environ.get("SHOP_HOME") or ".backstay/shop")


class Shop:
    """Reads and changes the shop in the SQLite file `path`; fills a new file with the first customers and orders.

    Expected refusals (an unknown id, an amount that does not fit) are `ToolError`s that a model can read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _create(path)

    def customer(self, customer_id: str) -> Customer:
        """Returns the customer with this id."""
        with self._connection() as db:
            return _customer(db, customer_id)

    def order(self, order_id: str) -> Order:
        """Returns the order with this id."""
        with self._connection() as db:
            return _order(db, order_id)

    def search_orders(self, email: str) -> list[Order]:
        """Lists the orders of the customer with this e-mail address, in upper or lower case, by id."""
        with self._connection() as db:
            rows = db.execute(f"{ORDER_QUERY} WHERE c.email = ? ORDER BY o.order_id", (email.strip(),))
            return [order_of(row) for row in rows]

    def parcel(self, order_id: str) -> Parcel:
        """Returns the parcel of this order."""
        with self._connection() as db:
            return _parcel(db, order_id)

    def set_parcel_status(self, order_id: str, status: ParcelStatus) -> Parcel:
        """Records where the parcel of this order is now, and returns the parcel."""
        with self._writing() as db:
            db.execute(
                "UPDATE parcels SET status = ?, updated_at = ? WHERE order_id = ?",
                (ParcelStatus(status).value, _now(), order_id),
            )
            return _parcel(db, order_id)

    def refund(self, order_id: str, amount: Decimal, reason: str | None, key: str) -> Refund:
        """Refunds `amount` dollars of an order, once for each `key`; the same key again returns the first refund.

        Raises:
            ToolError: the amount is not positive, has more than two decimals or is more than what is left of
                the order's total; the order is unknown; or the key was used with other arguments.
        """
        cents = _to_cents(amount)
        with self._writing() as db:
            earlier = _refund(db, key)
            if earlier is not None:
                if (earlier.order_id, earlier.amount, earlier.reason) != (order_id, amount, reason):
                    raise ToolError("this idempotency key was used for another refund; use a new key")
                return earlier
            order = _order(db, order_id)
            left = order.total - order.refunded
            # INVARIANT: the refunds of an order never exceed its total. The write lock covers sum and insert.
            if amount > left:
                raise ToolError(f"the amount is more than the {left} that is left to refund on `{order_id}`")
            made: sqlite3.Row = db.execute(
                "INSERT INTO refunds (idempotency_key, order_id, amount_cents, reason, created_at)"
                " VALUES (?, ?, ?, ?, ?) RETURNING *",
                (key, order_id, cents, reason, _now()),
            ).fetchone()
            return refund_of(made)

    def refunds(self, order_id: str | None = None) -> list[Refund]:
        """Lists the refunds of one order, or of all, in the order they were made."""
        with self._connection() as db:
            rows = db.execute("SELECT * FROM refunds WHERE ?1 IS NULL OR order_id = ?1 ORDER BY number", (order_id,))
            return [refund_of(row) for row in rows]

    def close_account(self, customer_id: str) -> Customer:
        """Closes a customer's account for good.

        Raises:
            ToolError: the customer is unknown, or the account is closed already.
        """
        with self._writing() as db:
            if _customer(db, customer_id).closed_at is not None:
                raise ToolError(f"the account of `{customer_id}` is closed already")
            db.execute("UPDATE customers SET closed_at = ? WHERE customer_id = ?", (_now(), customer_id))
            return _customer(db, customer_id)

    @contextmanager
    def _connection(self) -> Generator[sqlite3.Connection]:
        # Opened only if it exists: a file that vanished must not come back empty.
        with closing(_connect(self.path, "rw")) as db:
            yield db

    @contextmanager
    def _writing(self) -> Generator[sqlite3.Connection]:
        with self._connection() as db:
            # IMMEDIATE takes the lock now. A transaction that reads first and locks later fails instead of waiting.
            db.execute("BEGIN IMMEDIATE")
            with db:
                yield db


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode={mode}"
    db = sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA foreign_keys = ON")
    return db


def _create(path: Path) -> None:
    # Filled beside its place and then linked there, which only one process can do: SQLite refuses, without
    # waiting, to switch a file to WAL while another process opens it.
    with TemporaryDirectory(dir=path.parent, prefix=f"{path.name}-") as folder:
        new = Path(folder, path.name)
        with closing(_connect(new, "rwc")) as db:
            db.execute("PRAGMA journal_mode = WAL")
            for statement in SCHEMA:
                db.execute(statement)
            db.executemany("INSERT INTO customers (customer_id, name, email) VALUES (?, ?, ?)", CUSTOMERS)
            db.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", ORDERS)
            db.executemany("INSERT INTO parcels VALUES (?, ?, ?, ?, ?)", PARCELS)
        with suppress(FileExistsError):
            path.hardlink_to(new)


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _to_cents(amount: Decimal) -> int:
    if not amount.is_finite() or not 0 < amount <= LARGEST_AMOUNT:
        raise ToolError("the amount must be positive and not above a billion")
    # Compared after rounding, because multiplying by 100 would itself round a very long fraction away.
    rounded = amount.quantize(Decimal("0.01"))
    if rounded != amount:
        raise ToolError("the amount must have at most two decimals")
    return int(rounded.scaleb(2))


def _customer(db: sqlite3.Connection, customer_id: str) -> Customer:
    row: sqlite3.Row | None = db.execute("SELECT * FROM customers WHERE customer_id = ?", (customer_id,)).fetchone()
    if row is None:
        raise ToolError(f"there is no customer `{customer_id}`")
    return customer_of(row)


def _order(db: sqlite3.Connection, order_id: str) -> Order:
    row: sqlite3.Row | None = db.execute(f"{ORDER_QUERY} WHERE o.order_id = ?", (order_id,)).fetchone()
    if row is None:
        raise ToolError(f"there is no order `{order_id}`")
    return order_of(row)


def _parcel(db: sqlite3.Connection, order_id: str) -> Parcel:
    row: sqlite3.Row | None = db.execute("SELECT * FROM parcels WHERE order_id = ?", (order_id,)).fetchone()
    if row is None:
        raise ToolError(f"no parcel was sent for order `{order_id}`")
    return parcel_of(row)


def _refund(db: sqlite3.Connection, key: str) -> Refund | None:
    row: sqlite3.Row | None = db.execute("SELECT * FROM refunds WHERE idempotency_key = ?", (key,)).fetchone()
    return None if row is None else refund_of(row)
