"""The sums of a ledger: what every account holds and has spent of every quantity, by period.

An account is `organisation`, `tenant` or `agent:NAME`; its level is the part before the colon. A quantity is a name
with an integer amount: `usd` in micro-dollars, `tokens`, `runs`, `exposure:NAME` in 1/10,000.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from .ledger_period import Period

RUNS = "runs"
"""The quantity of runs at once: it has no period, and nothing of it is ever spent."""
NOW = "now"
"""The key under which amounts without a period stand."""
LEVELS = ("organisation", "tenant", "agent")
_EXPOSURE = "exposure:"

Amounts = Mapping[str, int]
"""Amounts by the name of their quantity."""
Keys = Mapping[Period, str]
"""The key of each period in which a hold counts."""
Counts = Mapping[str, Mapping[Period, int]]
"""Sums by name, then period: of quantities in a ledger, of meters in a run."""


def quantity_of(meter: str) -> str:
    """Returns the quantity under which ledgers count a meter."""
    return f"{_EXPOSURE}{meter}"


def meter_of(quantity: str) -> str | None:
    """Returns the meter that a quantity counts; None for other quantities."""
    return quantity.removeprefix(_EXPOSURE) if quantity.startswith(_EXPOSURE) else None


@dataclass(frozen=True, slots=True)
class Sum:
    """Holds the amounts that are held and spent; neither is ever negative."""

    spent: int = 0
    held: int = 0

    @property
    def used(self) -> int:
        """Both together: what a limit must leave room for."""
        return self.spent + self.held


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that may be held and spent together of a quantity, by one account in one period; None is at once.

    `group` is the spec of the group that may let a hold above it; None lets none.
    """

    account: str
    quantity: str
    period: Period | None
    most: int
    warn_at: int = 80
    group: str | None = None

    @property
    def level(self) -> str:
        """The level of the account."""
        return self.account.partition(":")[0]

    @property
    def name(self) -> str:
        """The words that name the limit in a refusal, such as `usd:tenant:day` or `runs_at_once:tenant`."""
        return f"runs_at_once:{self.level}" if self.period is None else f"{self.quantity}:{self.level}:{self.period}"

    def key(self, keys: Keys) -> str:
        """Returns the period's key among those of a moment."""
        return NOW if self.period is None else keys[self.period]


@dataclass(frozen=True, slots=True)
class Excess:
    """A limit that has no room: its name, the amount asked for, and what is left beside spend and holds.

    Attributes:
        groups: the groups that together may let the hold above all limits without room; none lets it without them.
        sums: what the sums of the quantities that are meters would be, as in `Hold`.
    """

    name: str
    needed: int
    left: int
    groups: tuple[str, ...] = ()
    sums: Counts = field(default_factory=dict[str, Mapping[Period, int]])


@dataclass(frozen=True, slots=True)
class Crossing:
    """A share of a limit that a hold reached as the first: its name, the account, and the amounts."""

    name: str
    account: str
    key: str
    percent: int
    used: int
    most: int

    @property
    def mark(self) -> str:
        """The words under which the ledger remembers that it has warned."""
        return f"{self.name} {self.account} {self.key} {self.percent}"


@dataclass(frozen=True, slots=True)
class Sums:
    """All sums: by account, then quantity, then key of the period."""

    by_account: Mapping[str, Mapping[str, Mapping[str, Sum]]]

    def at(self, account: str, quantity: str, key: str) -> Sum:
        """Returns one sum."""
        return self.by_account.get(account, {}).get(quantity, {}).get(key, Sum())

    def excess(
        self, limits: Iterable[Limit], amounts: Amounts, keys: Keys, agreed: Counts | None = None
    ) -> Excess | None:
        """Returns the limit that has no room for some amounts; a zero amount of a meter exceeds none.

        Where several have none, that is the one with the least left, of those that nobody may let it above if there are
        such.

        Args:
            limits: the limits.
            amounts: what is asked for.
            keys: the keys of the periods.
            agreed: the sums up to which people let these very amounts above limits that have a group.
        """
        over = [limit for limit in limits if self._exceeded(limit, amounts, keys, agreed or {})]
        final = [limit for limit in over if limit.group is None]
        ranks = {quantity: rank for rank, quantity in enumerate(amounts)}
        named = sorted(final or over, key=lambda limit: (ranks[limit.quantity], self._left(limit, keys)))
        if not named:
            return None
        groups = () if final else tuple(dict.fromkeys(limit.group for limit in over if limit.group))
        first = named[0]
        return Excess(first.name, amounts[first.quantity], self._left(first, keys), groups)

    def counts(self, account: str, quantities: Iterable[str], keys: Keys) -> Counts:
        """Returns what an account has spent and holds of those quantities that are meters, by period."""
        return {
            quantity: {period: self.at(account, quantity, key).used for period, key in keys.items()}
            for quantity in quantities
            if meter_of(quantity) is not None
        }

    def _exceeded(self, limit: Limit, amounts: Amounts, keys: Keys, agreed: Counts) -> bool:
        needed = amounts.get(limit.quantity)
        if needed is None or (not needed and meter_of(limit.quantity) is not None):
            return False
        more = 0
        if limit.group is not None and limit.period is not None:
            more = max(0, agreed.get(limit.quantity, {}).get(limit.period, 0) - limit.most)
        return needed > self._left(limit, keys) + more

    def _left(self, limit: Limit, keys: Keys) -> int:
        return limit.most - self.at(limit.account, limit.quantity, limit.key(keys)).used

    def crossings(self, limits: Iterable[Limit], amounts: Amounts, keys: Keys) -> tuple[Crossing, ...]:
        """Returns the limits of which some amounts, once they are held, use the share to warn at."""
        found: list[Crossing] = []
        for limit in limits:
            used = self.at(limit.account, limit.quantity, limit.key(keys)).used
            if amounts.get(limit.quantity, 0) and used * 100 >= limit.most * limit.warn_at:
                key = keys[limit.period or Period.DAY]  # of runs at once people are warned once a day
                found.append(Crossing(limit.name, limit.account, key, limit.warn_at, used, limit.most))
        return tuple(found)

    def moved(self, accounts: Iterable[str], keys: Keys, spent: Amounts, held: Amounts) -> "Sums":
        """Returns the sums after amounts were added to what is spent and to what is held; negative ones take away."""
        accounted = {account: dict(quantities) for account, quantities in self.by_account.items()}
        for account in accounts:
            quantities = accounted.setdefault(account, {})
            for quantity in {**spent, **held}:
                sums = dict(quantities.get(quantity, {}))
                for key in (NOW,) if quantity == RUNS else keys.values():
                    before = sums.get(key, Sum())
                    more = 0 if quantity == RUNS else spent.get(quantity, 0)
                    sums[key] = Sum(before.spent + more, before.held + held.get(quantity, 0))
                quantities[quantity] = sums
        return Sums(accounted)

    def without(self, gone: Iterable[str]) -> "Sums":
        """Returns the sums without those of some periods' keys, except where something is still held."""
        keys = set(gone)
        return replace(
            self,
            by_account={
                account: {
                    quantity: {key: one for key, one in sums.items() if one.held or key not in keys}
                    for quantity, sums in quantities.items()
                }
                for account, quantities in self.by_account.items()
            },
        )
