"""Lets runs go on in the order of their starts, never more at once than the limits of a ledger have room for.

INVARIANT: nobody goes ahead of a run that was started earlier and is remembered, unless that one waits for its agent's
own limit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from .ledger import FULL, MOST_HOLDS, Books, Hold, Holder, Waiter
from .ledger_sums import RUNS, Limit

MOST_WAITING = 5_000
"""The most runs that are remembered while they wait; further ones wait too, and ask again until there is a place."""
_ONE = {RUNS: 1}


@dataclass(frozen=True, slots=True)
class Place:
    """A place among those that wait, counted from 1, and the limit that keeps the run there.

    `limit` is empty where the ledger does not know yet which runs are going on.
    """

    number: int
    limit: str = ""
    most: int = 0


@dataclass(frozen=True, slots=True)
class AtWork:
    """The open runs of a ledger: those that go on, and the workflow ids of those that wait."""

    running: tuple[Holder, ...] = ()
    queued: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """Holds the news that somebody found out about the runs of a ledger.

    Attributes:
        over: the keys of runs that have closed.
        at_work: the open runs; None where nobody looked for them.
        room: the limits of now, by line.
    """

    over: frozenset[str]
    at_work: AtWork | None
    room: Mapping[str, tuple[Limit, ...]]


def joined(books: Books, waiter: Waiter, limits: Iterable[Limit]) -> Books:
    """Returns the books with a run among those that wait, under the limits of now; one that was let in stays so."""
    if waiter.id in books.holds or (waiter.id not in books.waiting and len(books.waiting) >= MOST_WAITING):
        return books
    room = {**books.room, waiter.line: tuple(limits)}
    return replace(books, waiting={**books.waiting, waiter.id: waiter}, room=room)


def let_in(books: Books, now_ms: int) -> tuple[Books, tuple[Hold, ...]]:
    """Lets those go on that there is room for; returns the holds that they have from now on.

    Nobody goes on before it is known which runs are going on already.
    """
    held: list[Hold] = []
    full: set[str] = set()
    for waiter in _in_order(books) if books.counted else ():
        if waiter.line not in full and len(books.holds) < MOST_HOLDS and _short(books, waiter) is None:
            books, hold = _among(books, waiter.holder, now_ms)
            held.append(hold)
        else:
            full.add(waiter.line)
    return _tidy(books), tuple(held)


def place(books: Books, waiter: Waiter) -> Place:
    """Returns the place of a run that waits."""
    number = 1 + sum(one.order < waiter.order for one in books.waiting.values())
    if len(books.holds) >= MOST_HOLDS:
        return Place(number, FULL, MOST_HOLDS)
    short = _short(books, waiter) if books.counted else None
    return Place(number) if short is None else Place(number, short.name, short.most)


def looked_after(books: Books, look: Look, now_ms: int) -> Books:
    """Takes what was found out into the books: who is over makes room, and who runs uncounted is counted.

    Full books count nobody more, and nobody goes on until all are counted: then it is looked anew.
    """
    for key in look.over:
        books = books.left(key)
    counted = {hold.holder.key for hold in books.holds.values() if RUNS in hold.amounts} | books.ended.keys()
    counted |= {waiter.holder.key for waiter in books.waiting.values()}
    for holder in look.at_work.running if look.at_work else ():
        if holder.key not in counted and len(books.holds) < MOST_HOLDS:
            books, _ = _among(books, holder, now_ms)
    whole = look.at_work is not None and len(books.holds) < MOST_HOLDS
    known = {line: limits for line, limits in look.room.items() if line in books.room}
    return replace(books, room={**books.room, **known}, counted=books.counted or whole)


def at_once(books: Books) -> list[Hold]:
    """Returns the holds of runs that were let in or counted."""
    return [hold for hold in books.holds.values() if hold.amounts == _ONE]


def next_in_line(books: Books, most: int) -> list[Waiter]:
    """Returns those of the waiting runs that go on next, at most so many."""
    return _in_order(books)[:most]


def _among(books: Books, holder: Holder, now_ms: int) -> tuple[Books, Hold]:
    """Counts a run among those at once, and no more among those that wait."""
    waiter = Waiter(holder, "", 0)
    hold = Hold(waiter.id, holder, _ONE, books.accounts(holder, _ONE), {}, now_ms)
    waiting = {name: one for name, one in books.waiting.items() if name != hold.id}
    sums = books.sums.moved(hold.accounts, {}, {}, _ONE)
    return replace(books, sums=sums, holds={**books.holds, hold.id: hold}, waiting=waiting), hold


def _in_order(books: Books) -> list[Waiter]:
    return sorted(books.waiting.values(), key=lambda waiter: waiter.order)


def _short(books: Books, waiter: Waiter) -> Limit | None:
    """Returns the limit that has no room for a further run; where several have none, the strictest."""
    limits = sorted(books.room.get(waiter.line, ()), key=lambda limit: limit.most)
    full = (limit for limit in limits if books.sums.excess((limit,), _ONE, {}))
    return next(full, None)


def _tidy(books: Books) -> Books:
    """Forgets the limits of lines in which nobody waits; once nobody runs, who does is to be found out anew."""
    lines = {waiter.line for waiter in books.waiting.values()}
    room = {line: limits for line, limits in books.room.items() if line in lines}
    counted = books.counted and (bool(books.waiting) or bool(at_once(books)))
    if (len(room), counted) == (len(books.room), books.counted):
        return books
    return replace(books, room=room, counted=counted)
