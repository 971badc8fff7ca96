"""Lists the scenes of `backstay demo`: the goal of each run, the scripted model's replies, and how it must end.

The shipped agent `support` plays them in a shop of their own, a SQLite file and a maildir. `demo_pages` adds those of
`research` and `briefing`.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backstay.contracts.budget import BudgetLimits
from backstay.contracts.run import RunRequest
from backstay.kernel.stop import StopReason
from backstay.testing import Call, Reply, Script

AGENT = "support"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Says what is found in the shop after a run, and whether that is as promised."""

    text: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """Describes one run.

    Attributes:
        ends: the stop reason that must end the run if the model keeps to the script.
        kill_during: the demo kills the run while this tool is running.
        evidence: reads the shop's folder afterwards.
        agent: the shipped agent that plays it.
        parts: the replies in the runs of other agents that it asks, by their goals.
    """

    name: str
    title: str
    goal: str
    script: Script
    ends: StopReason
    budget: BudgetLimits | None = None
    kill_during: str | None = None
    evidence: Callable[[Path], Evidence] | None = field(default=None, repr=False)
    agent: str = AGENT
    parts: Mapping[str, Script] = field(default_factory=dict[str, Script])

    def request(self) -> RunRequest:
        """Returns the request that starts the run."""
        return RunRequest(goal=self.goal, agent=self.agent, requested_by="demo", budget=self.budget)


def _one_refund(shop: Path) -> Evidence:
    rows = _rows(shop, "SELECT amount_cents FROM refunds WHERE order_id = 'A17'")
    amounts = [f"{cents / 100:.2f}" for (cents,) in rows]
    return Evidence(f"refunds of A17 in the shop's books: {', '.join(amounts) or 'none'}", amounts == ["25.00"])


def _account_open(shop: Path) -> Evidence:
    closed = bool(_rows(shop, "SELECT 1 FROM customers WHERE customer_id = 'K2' AND closed_at IS NOT NULL"))
    return Evidence(f"account K2 in the shop's books: {'closed' if closed else 'open'}", not closed)


def _one_message(shop: Path) -> Evidence:
    new = shop / "maildir" / "new"
    count = len(list(new.iterdir())) if new.is_dir() else 0
    return Evidence(f"messages that arrived by SMTP in the local maildir: {count}", count == 1)


def _rows(shop: Path, query: str) -> list[tuple[Any, ...]]:
    file = shop / "shop.sqlite3"
    if not file.exists():
        return []
    with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as db:
        return db.execute(query).fetchall()


def _lookup(order_id: str) -> Reply:
    return Reply(calls=[Call("lookup_order", {"order_id": order_id})])


SCENES = (
    Scene(
        name="refund",
        title="A lookup and an allowed refund",
        goal="Ann Lee writes that a lace of her hiking boots (order A17) was torn. Refund her 25.00 USD for it.",
        script=[
            _lookup("A17"),
            Reply(calls=[Call("issue_refund", {"order_id": "A17", "amount": "25.00", "reason": "torn lace"})]),
            Reply("Refunded 25.00 USD of order A17 for the torn lace. Nothing is open."),
        ],
        ends=StopReason.COMPLETED,
        evidence=_one_refund,
    ),
    Scene(
        name="denied",
        title="A tool the agent may not use is denied, and the agent goes on",
        goal="Bo Novak (customer K2) wants his account closed for good. Do it with `close_account`.",
        script=[
            Reply(calls=[Call("close_account", {"customer_id": "K2"})]),
            Reply("I could not close the account: I may not use that tool. Somebody who may has to do it."),
        ],
        ends=StopReason.COMPLETED,
        evidence=_account_open,
    ),
    Scene(
        name="budget",
        title="A run that goes on and on is stopped by its budget of 3 steps",
        goal="Look up the orders A17, A18, B20, B21 and C30 one after the other, each in a step of its own.",
        script=[_lookup(order) for order in ("A17", "A18", "B20", "B21", "C30")],
        ends=StopReason.BUDGET_EXHAUSTED,
        budget=BudgetLimits(steps=3),
    ),
    Scene(
        name="killed",
        title="A run is killed while its tool is working",
        goal="Track the parcel of order A18: wait 60 seconds for it to move, and say when it has.",
        script=[Reply(calls=[Call("track_parcel", {"order_id": "A18", "wait_seconds": 60})])],
        ends=StopReason.KILLED,
        kill_during="track_parcel",
    ),
    Scene(
        name="mail",
        title="A message is sent by real SMTP, once",
        goal="Write to Bo Novak that his water bottle (order B21) is packed and leaves tomorrow.",
        script=[
            _lookup("B21"),
            Reply(
                calls=[
                    Call(
                        "email_customer",
                        {
                            "order_id": "B21",
                            "subject": "Your order B21",
                            "body": "Hello Bo,\n\nyour water bottle is packed and leaves tomorrow.\n\nShop Support",
                        },
                    )
                ]
            ),
            Reply("Wrote to bo@example.org that order B21 is packed and leaves tomorrow."),
        ],
        ends=StopReason.COMPLETED,
        evidence=_one_message,
    ),
)
