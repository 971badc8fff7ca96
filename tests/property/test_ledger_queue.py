"""Whatever runs, people and workers do: never more runs at once than the limits allow, and nobody goes ahead."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from backstay.kernel.ledger import Books, Holder, Waiter
from backstay.kernel.ledger_queue import AtWork, Look, at_once, joined, let_in, looked_after, place
from backstay.kernel.ledger_sums import NOW, RUNS, Limit, Sum

ADAPTER = TypeAdapter(Books)


class World:
    """Runs that were started in the order of their numbers, and their ledger; agent `b` may have one at once."""

    def __init__(self) -> None:
        self.books = Books("tenant")
        self.limits = (Limit("tenant", RUNS, None, 2), Limit("agent:b", RUNS, None, 1))
        self.going: set[int] = set()
        self.waiting: set[int] = set()
        self.gone: set[int] = set()

    def waiter(self, number: int) -> Waiter:
        return Waiter(Holder(f"key-{number}", f"run-{number}", "x", "ab"[number % 2]), "agents", number)

    def of(self, agent: str) -> tuple[Limit, ...]:
        """The limits of an agent's runs."""
        return self.limits if agent == "b" else self.limits[:1]

    def asks(self, number: int) -> None:
        if number not in self.gone:
            self.waiting |= {number} - self.going
            self.books = joined(self.books, self.waiter(number), self.of("ab"[number % 2]))

    def ends(self, number: int) -> None:
        self.dies(number)
        self.books = self.books.close(self.waiter(number).holder, {}, (), 1)

    def dies(self, number: int) -> None:
        """A run is terminated, and tells nobody."""
        self.gone.add(number)
        self.going.discard(number)
        self.waiting.discard(number)

    def looks(self, _: int = 0) -> None:
        """A worker finds out who has closed and who goes on, and tells the limits of now."""
        over = frozenset(f"key-{number}" for number in self.gone)
        running = tuple(self.waiter(number).holder for number in sorted(self.going))
        room = {f"agents {agent}": self.of(agent) for agent in "ab"}
        self.books = looked_after(self.books, Look(over, AtWork(running), room), 1)

    def changes(self, number: int) -> None:
        """Somebody sets another limit."""
        self.limits = (replace(self.limits[0], most=number % 4), self.limits[1])

    def loses(self, _: int) -> None:
        """The ledger is terminated; the runs that wait ask a new one before it lets anybody in."""
        self.books = Books("tenant")
        for number in sorted(self.waiting):
            self.asks(number)

    def moves(self, _: int) -> None:
        """The ledger goes on in a new link."""
        self.books = ADAPTER.validate_json(ADAPTER.dump_json(self.books))

    def lets_in(self) -> None:
        known = self.books
        self.books, held = let_in(known, 1)
        for hold in held:
            number = int(hold.holder.key.removeprefix("key-"))
            own = next(iter(known.room.get(self.waiter(number).line, ())), None)
            assert known.counted
            assert own is None or self.books.sums.at("tenant", RUNS, NOW).held <= own.most
            earlier = {one for one in self.waiting if one < number}
            assert all(one % 2 == 1 for one in earlier), "only a run that waits for its agent's limit is passed by"
            assert number % 2 == 0 or not earlier
            self.waiting.discard(number)
            if number not in self.gone:
                self.going.add(number)

    def check(self) -> None:
        kept = {hold.holder.key for hold in at_once(self.books)}
        assert self.books.sums.at("tenant", RUNS, NOW) == Sum(held=len(kept))
        assert not kept & {one.holder.key for one in self.books.waiting.values()}
        if self.books.counted:
            assert {f"key-{number}" for number in self.going} <= kept
        places = [place(self.books, one).number for one in self.books.waiting.values()]
        assert sorted(places) == list(range(1, len(places) + 1))


STEPS = {
    "asks": World.asks,
    "ends": World.ends,
    "dies": World.dies,
    "looks": World.looks,
    "changes": World.changes,
    "loses": World.loses,
    "moves": World.moves,
}
CHOSEN = st.sampled_from([*STEPS, "asks", "asks", "looks"])


@settings(max_examples=2 * settings().max_examples, deadline=None)
@given(st.lists(st.tuples(CHOSEN, st.integers(0, 9)), max_size=50))
def test_never_more_than_the_limit_go_on_and_nobody_goes_ahead_of_an_earlier_start(
    ordered: list[tuple[str, int]],
) -> None:
    world = World()
    for name, number in ordered:
        STEPS[name](world, number)
        world.lets_in()
        world.check()
    world.looks()
    world.lets_in()
    world.looks()
    world.lets_in()
    room = world.limits[0].most - len(world.going)
    agent_b = {number for number in world.going if number % 2}
    for number in sorted(world.waiting):
        assert room <= 0 or (number % 2 and agent_b), "whoever there is room for goes on"
