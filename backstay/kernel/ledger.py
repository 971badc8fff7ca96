"""A ledger over many runs as one value: what runs hold, what they have spent, and what of that a limit allows.

INVARIANT: whenever a hold is made, spend and holds together exceed none of the limits that it brings. What was truly
spent counts even above the hold: then nothing more fits until the period is over.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from .keys import hold_id
from .ledger_period import Period, Span, keys_at
from .ledger_sums import RUNS, Amounts, Counts, Crossing, Excess, Keys, Limit, Sums, meter_of

REMEMBERED_MS = 86_400_000
"""The time for which an ended hold, and a period's sum, are known after the period's end: one day."""
MOST_HOLDS = 8_000
"""The most holds at a time: the books have to fit into one message, in which they are handed to the next link."""
MOST_ENDED = 10_000
"""The most ended holds and runs that are remembered, the latest: for as long as what they asked may be asked again."""
TOP = 10
CLOCK = "clock"
CLOSED = "run_closed"
FULL = "books_full"
SLOT = "slot"
"""The name of the hold that counts a run among those at once, from before its first step to its end."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The run that a hold is for: its key, which outlives resets, and where the engine has it.

    `agent_only` marks a run below another one: what it spends was drawn above it, and counts here with its agent alone.
    """

    key: str
    workflow_id: str
    run_id: str
    agent: str
    agent_only: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """Amounts reserved for a run, in the periods of the moment in which that was done.

    `sums` are those of the outermost account with the hold, of quantities that are meters: whoever asks again is told
    the same. Once it `happened` all of it is spent, and it is remembered until its run closes. `attempt` is the latest
    that asked for it, as in `Asked`.
    """

    id: str
    holder: Holder
    amounts: Amounts
    accounts: tuple[str, ...]
    keys: Keys
    at_ms: int
    crossed: tuple[Crossing, ...] = ()
    sums: Counts = field(default_factory=dict[str, Mapping[Period, int]])
    happened: bool = False
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """A hold that is asked for; its id makes it safe to ask again.

    `agreed` has the sums up to which people let this very hold above limits that have a group. `happened` are the ids
    of earlier holds of the same run, of calls that have happened: told along, that costs no message of its own.
    `attempt` tells the attempts at asking apart: those that begin later have a higher one.
    """

    id: str
    holder: Holder
    amounts: Amounts
    limits: tuple[Limit, ...]
    agreed: Counts = field(default_factory=dict[str, Mapping[Period, int]])
    happened: tuple[str, ...] = ()
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Waiter:
    """A run that waits until it may be one of those at once.

    `queue` is its task queue, and `started_us` when the engine took its start, in microseconds since the epoch.
    """

    holder: Holder
    queue: str
    started_us: int

    @property
    def id(self) -> str:
        """The id of the hold that it waits for."""
        return hold_id(self.holder.key, SLOT)

    @property
    def order(self) -> tuple[int, str]:
        """Sorts those that wait: who was started first goes first."""
        return self.started_us, self.id

    @property
    def line(self) -> str:
        """The words under which its limits are known: the workers of a queue know the same ones for an agent."""
        return f"{self.queue} {self.holder.agent}"


@dataclass(frozen=True, slots=True)
class Spender:
    """Holds the spend of a run in a period, in micro-dollars."""

    run: str
    agent: str
    usd: int


@dataclass(frozen=True, slots=True)
class Books:
    """All that a ledger knows.

    Attributes:
        level: `organisation` or `tenant`: the outermost account.
        holds: what is held, by the id of the hold.
        ended: the holds that were settled one by one, and the holders that closed, with the time at which that is
            forgotten.
        ends: the end of each period that has sums, by its key.
        warned: the marks of the warnings given.
        top: the runs that spent most, by the key of the period.
        waiting: the runs that wait until they may be among those at once, by the id of their hold.
        room: the limits of runs at once, by the line of those that wait.
        counted: whether the runs are counted that began while nothing limited them.
        swept_ms: when the runs of old holds were last looked for, as the books are handed to the next link.
    """

    level: str
    sums: Sums = field(default_factory=lambda: Sums({}))
    holds: Mapping[str, Hold] = field(default_factory=dict[str, Hold])
    ended: Mapping[str, int] = field(default_factory=dict[str, int])
    ends: Mapping[str, int] = field(default_factory=dict[str, int])
    warned: frozenset[str] = frozenset()
    top: Mapping[str, tuple[Spender, ...]] = field(default_factory=dict[str, tuple[Spender, ...]])
    waiting: Mapping[str, Waiter] = field(default_factory=dict[str, Waiter])
    room: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict[str, tuple[Limit, ...]])
    counted: bool = False
    swept_ms: int = 0

    def hold(self, asked: Asked, spans: Iterable[Span], now_ms: int) -> "tuple[Books, Hold | Excess]":
        """Reserves amounts, or says which limit has no room for them.

        The same id gets its own hold again, whatever the limits are by then; where it asks for more than before, as
        after a reset of its run, all of it is held anew. One that has ended, or comes from a run that has closed, holds
        nothing any more.
        """
        if asked.happened:
            return self._spent_whole(asked).hold(replace(asked, happened=()), spans, now_ms)
        if known := self.holds.get(asked.id):
            most = {name: max(amount, asked.amounts.get(name, 0)) for name, amount in known.amounts.items()}
            most = {**asked.amounts, **most}
            latest = max(known.attempt, asked.attempt)
            if most == known.amounts:
                held = known if latest == known.attempt else replace(known, attempt=latest)
                return (self if held is known else replace(self, holds={**self.holds, held.id: held})), held
            wanted = replace(asked, amounts=most, attempt=latest)
            after, answer = self._ended(known, {}).hold(wanted, spans, now_ms)
            return (after, answer) if isinstance(answer, Hold) else (self, answer)
        spans = tuple(spans)
        keys = keys_at(spans, now_ms)
        if keys is None:
            return self, Excess(CLOCK, 0, 0)
        if asked.id in self.ended or asked.holder.key in self.ended:
            return self, Excess(CLOSED, 0, 0)
        if len(self.holds) >= MOST_HOLDS:
            return self, Excess(FULL, 0, 0)
        accounts = self.accounts(asked.holder, asked.amounts)
        sums = self.sums.moved(accounts, keys, {}, asked.amounts)
        counts = sums.counts(self.level, asked.amounts, keys)
        if excess := self.sums.excess(asked.limits, asked.amounts, keys, asked.agreed):
            return self, replace(excess, sums=counts)
        crossed = {one.mark: one for one in sums.crossings(asked.limits, asked.amounts, keys)}
        news = tuple(one for mark, one in crossed.items() if mark not in self.warned)
        held = Hold(asked.id, asked.holder, asked.amounts, accounts, keys, now_ms, news, counts, attempt=asked.attempt)
        after = self._reaching(spans, keys)
        return replace(
            after,
            sums=sums,
            holds={**self.holds, asked.id: held},
            warned=self.warned | {one.mark for one in news},
        ), held

    def release(self, hold_id: str, attempt: int | None = None) -> "Books":
        """Gives a hold back of which nothing was used, and forgets it: the same id may be held again.

        Args:
            hold_id: the id of the hold.
            attempt: the attempt that gives it back because another ledger refused; one that was late gives nothing back
                that a later attempt has asked for. None is the run itself.
        """
        held = self.holds.get(hold_id)
        if held is None or held.happened or (attempt is not None and attempt < held.attempt):
            return self
        return self._ended(held, {})

    def settle(self, hold_id: str, spent: Amounts) -> "Books":
        """Replaces a hold by what was spent of it, in the hold's own periods; an unknown id changes nothing."""
        held = self.holds.get(hold_id)
        if held is None or held.happened:
            return self
        return replace(self._ended(held, spent), ended={**self.ended, hold_id: self._forgotten_at(held.keys)})

    def close(self, holder: Holder, spent: Amounts, spans: Iterable[Span], now_ms: int) -> "Books":
        """Ends all that a run holds of some quantities, once it is known what it spent of them in all.

        Each hold takes its part of the spend, the earliest first; what exceeds all of them counts with the last. Of a
        meter it takes all that it holds: its call happened, or may have, also where the run was reset to before it and
        does not know of it. What is held of a quantity that is not named stays, because nobody has said what became of
        it, and what is named of one that the run does not hold is no concern of the ledger. A run that holds nothing at
        all, as after its hold was lost with the books, counts in the present periods.
        """
        after, spans = self.left(holder.key), tuple(spans)
        if holder.key in self.ended:
            return after
        mine = sorted(after.held_by(holder.key, spent), key=lambda hold: hold.at_ms)
        keys = mine[-1].keys if mine else keys_at(spans, now_ms)
        if keys is None:
            return after
        left, last = dict(spent), {name: hold.id for hold in mine for name in hold.amounts}
        for hold in mine:
            part = {
                name: max(_part(name, amount, left[name]), left[name] if last[name] == hold.id else 0)
                for name, amount in hold.amounts.items()
                if name in left
            }
            left = {name: max(0, amount - part.get(name, 0)) for name, amount in left.items()}
            after = after._ended(hold, part)
        if not mine and any(spent.values()):
            after = after._reaching(spans, keys)
            sums = after.sums
            for name, amount in spent.items():
                sums = sums.moved(after.accounts(holder, (name,)), keys, {name: amount}, {})
            after = replace(after, sums=sums, top=after._topped(holder, keys, spent.get("usd", 0)))
        return replace(after, ended={**after.ended, holder.key: after._forgotten_at(keys, now_ms)})

    def left(self, run_key: str) -> "Books":
        """Returns the books without a run among those at once, and among those that wait."""
        slot = hold_id(run_key, SLOT)
        held, waiting = self.holds.get(slot), {name: one for name, one in self.waiting.items() if name != slot}
        after = self if held is None else self._ended(held, {})
        return after if len(waiting) == len(self.waiting) else replace(after, waiting=waiting)

    def restored(self, hold: Hold, spans: Iterable[Span]) -> "Books":
        """Takes up a hold as the history of its run has it, whatever the limits are."""
        if {hold.id, hold.holder.key} & self.ended.keys() or hold.id in self.holds:
            return self
        return replace(
            self._reaching(tuple(spans), hold.keys),
            sums=self.sums.moved(hold.accounts, hold.keys, {}, hold.amounts),
            holds={**self.holds, hold.id: hold},
        )

    def forgetting(self, now_ms: int) -> "Books":
        """Returns the books without what ended a day before: sums of past periods, ended holds, warnings.

        Of more ended holds and runs than `MOST_ENDED` the earliest are forgotten too.
        """
        gone = {key for key, end_ms in self.ends.items() if end_ms + REMEMBERED_MS <= now_ms}
        gone -= {key for hold in self.holds.values() for key in hold.keys.values()}
        ended = [(name, until) for name, until in self.ended.items() if until > now_ms]
        return replace(
            self,
            sums=self.sums.without(gone),
            ended=dict(ended[-MOST_ENDED:]),
            ends={key: end_ms for key, end_ms in self.ends.items() if key not in gone},
            warned=frozenset(mark for mark in self.warned if not gone & set(mark.split())),
            top={key: spenders for key, spenders in self.top.items() if key not in gone},
        )

    def accounts(self, holder: Holder, quantities: Iterable[str]) -> tuple[str, ...]:
        """Returns the accounts in which a run counts quantities; a tenant's books have one for each agent too.

        Meters count everywhere: the run that makes a call counts them, and no other.
        """
        drawn_above = holder.agent_only and all(meter_of(name) is None for name in quantities)
        outer = () if drawn_above else (self.level,)
        return outer if self.level == "organisation" else (*outer, f"agent:{holder.agent}")

    def held_by(self, holder: str, quantities: Iterable[str]) -> list[Hold]:
        """Returns the holds of a run that are of these quantities, or of runs at once, alone."""
        known = {*quantities, RUNS}
        return [hold for hold in self.holds.values() if hold.holder.key == holder and set(hold.amounts) <= known]

    def _spent_whole(self, asked: Asked) -> "Books":
        """Returns the books with earlier holds of the run that asks spent as a whole; those of others stay."""
        sums, holds = self.sums, dict(self.holds)
        for hold in (holds[name] for name in asked.happened if name in holds):
            if not hold.happened and hold.holder.key == asked.holder.key:
                given_back = {quantity: -amount for quantity, amount in hold.amounts.items()}
                sums = sums.moved(hold.accounts, hold.keys, hold.amounts, given_back)
                holds[hold.id] = replace(hold, happened=True)
        return replace(self, sums=sums, holds=holds)

    def _ended(self, held: Hold, spent: Amounts) -> "Books":
        """Returns the books with what was spent in the place of a hold, which is not remembered."""
        back = {quantity: -amount for quantity, amount in held.amounts.items()}
        free = self.sums.moved(held.accounts, held.keys, *((back, {}) if held.happened else ({}, back)))
        return replace(
            self,
            sums=free.moved(held.accounts, held.keys, spent, {}),
            holds={key: hold for key, hold in self.holds.items() if key != held.id},
            top=self._topped(held.holder, held.keys, spent.get("usd", 0)),
        )

    def _reaching(self, spans: tuple[Span, ...], keys: Keys) -> "Books":
        """Returns the books with the ends of the periods of some keys."""
        known = {span.key: span.end_ms for span in spans if span.key in keys.values()}
        return replace(self, ends={**self.ends, **known})

    def _forgotten_at(self, keys: Keys, now_ms: int = 0) -> int:
        return max(self.ends.get(keys.get(Period.DAY, ""), 0), now_ms) + REMEMBERED_MS  # runs at once have no day

    def _topped(self, holder: Holder, keys: Keys, usd: int) -> Mapping[str, tuple[Spender, ...]]:
        if usd <= 0 or holder.agent_only:  # the run above shows the money
            return self.top
        top = dict(self.top)
        for key in keys.values():
            known = {one.run: one for one in top.get(key, ())}
            before = known[holder.workflow_id].usd if holder.workflow_id in known else 0
            known[holder.workflow_id] = Spender(holder.workflow_id, holder.agent, before + usd)
            top[key] = tuple(sorted(known.values(), key=lambda one: -one.usd)[:TOP])
        return top


def _part(quantity: str, held: int, left: int) -> int:
    """Returns what a hold takes of the spend of its run: a meter's hold is of one call, which happened as a whole."""
    return held if meter_of(quantity) is not None else min(held, left)
