"""The kinds of runs, and what the model will want in each run: drawn before the run starts."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from backstay.testing import Call

LONGEST_PAUSE = 0.5
SHARED = ("share", "publish")
"""The tools whose effects all runs of a tenant share."""
SHARED_ITEMS = 4


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of run.

    Attributes:
        tools: the tools that its model calls.
        tenants: for whom it may work.
        agent: the agent.
        turns: the fewest and the most decisions with calls.
        budget: what its request narrows.
        left: nobody answers its approvals.
        paused: somebody pauses it soon, and lets it go on later.
    """

    tools: tuple[str, ...]
    tenants: tuple[str, ...] = ("acme", "plain")
    agent: str = "clerk"
    turns: tuple[int, int] = (2, 4)
    budget: dict[str, str] | None = None
    left: bool = False
    paused: bool = False


KINDS = {
    "read": Kind(("look",)),
    "write": Kind(("store",)),
    "once": Kind(("send",)),
    "approval": Kind(("transfer",)),
    "unclear": Kind(("wire",), turns=(1, 3)),
    "shared": Kind(SHARED, tenants=("acme",)),
    "exposure": Kind(("refund",), tenants=("acme",), turns=(3, 5)),
    "dry": Kind(("look", "store"), turns=(12, 16), budget={"usd": "0.004"}),
    "paused": Kind(("store", "send"), paused=True),
    "queued": Kind(("look", "store"), tenants=("busy",)),
    "left": Kind(("transfer",), agent="patient", turns=(1, 1), left=True),
    "mixed": Kind(("look", "store", "send", "transfer", "wire", *SHARED, "refund"), turns=(3, 6)),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A run as it is to be: its id begins with its kind."""

    run: str
    kind: str
    tenant: str
    delay: float
    turns: list[list[Call]] = field(default_factory=list[list[Call]])

    @property
    def of(self) -> Kind:
        """Its kind."""
        return KINDS[self.kind]

    @property
    def request(self) -> dict[str, Any]:
        """What starts it."""
        request = {"goal": f"<{self.run}>", "agent": self.of.agent, "tenant": self.tenant}
        return {**request, "budget": self.of.budget} if self.of.budget else request


def plans(dice: random.Random) -> Iterator[Plan]:
    """Yields runs without end; of every twelve each is of another kind."""
    number = 0
    while True:
        for kind in dice.sample(sorted(KINDS), len(KINDS)):
            number += 1
            yield _plan(f"{kind}-{number}", kind, dice)


def _plan(run: str, kind: str, dice: random.Random) -> Plan:
    of = KINDS[kind]
    planned = Plan(run, kind, dice.choice(of.tenants), dice.uniform(0, LONGEST_PAUSE))
    for turn in range(dice.randint(*of.turns)):
        abreast = range(dice.randint(1, 2))
        planned.turns.append([_call(dice.choice(of.tools), f"{run}.{turn}.{number}", dice) for number in abreast])
    return planned


def _call(tool: str, item: str, dice: random.Random) -> Call:
    pause = round(dice.uniform(0, LONGEST_PAUSE), 2)
    if tool in SHARED:
        return Call(tool, {"item": f"for-all-{dice.randrange(SHARED_ITEMS)}"})
    if tool == "refund":
        return Call(tool, {"item": item, "pause": pause, "amount": dice.randint(10, 99)})
    return Call(tool, {"item": item, "pause": pause})
