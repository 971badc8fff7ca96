"""Measures one side of a scenario: by the books, by what the model's server billed, and by how each run ended."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backstay.kernel.money import format_usd

from .books import Entry

CUT_OFF = "ended by the harness"
ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class End:
    """Says how a run ended.

    Attributes:
        how: the stop reason, or in the loop's case what it came to.
        detail: what more there is to say.
        known: somebody can act upon it; an empty answer is of no use to anybody.
    """

    how: str
    detail: str = ""
    known: bool = True


@dataclass(frozen=True, slots=True)
class Bill:
    """Holds what the model's server billed.

    Attributes:
        micros: the sum in micro-dollars.
        so_far: the sum after each call, in order.
    """

    micros: int = 0
    so_far: tuple[int, ...] = ()

    def plus(self, micros: int) -> "Bill":
        """Returns the bill with one more call."""
        total = self.micros + micros
        return Bill(total, (*self.so_far, total))


@dataclass(frozen=True, slots=True)
class Side:
    """Holds what was measured of one side.

    Attributes:
        effects: changes to the world that were carried out.
        risky_effects: those that the shop would never leave to a program alone.
        duplicates: effects that a run carried out again, with the same arguments.
        distinct_outcomes: how many different sets of effects the runs came to.
        ends: how each run ended.
        spoiled: for each run, whether it took a risk, repeated an effect, or came to an end of no use.
        crashes: how often the process with the runs was killed.
    """

    bill: Bill
    tool_calls: int
    effects: int
    risky_effects: int
    duplicates: int
    distinct_outcomes: int
    ends: tuple[End, ...]
    spoiled: tuple[bool, ...]
    crashes: int = 0

    @property
    def model_calls(self) -> int:
        """Counts the calls that the model's server answered."""
        return len(self.bill.so_far)

    @property
    def cut_off(self) -> int:
        """Counts the runs that only the harness ended."""
        return sum(end.how == CUT_OFF for end in self.ends)

    @property
    def unnamed(self) -> int:
        """Counts the runs with an end that is of no use."""
        return sum(not end.known for end in self.ends)

    @property
    def ended(self) -> str:
        """Says in a line how the runs ended, the most frequent end first."""
        if len(self.ends) == 1:
            return self.ends[0].how if self.ends[0].how != CUT_OFF else f"{CUT_OFF} {self.ends[0].detail}"
        counted = Counter(end.how for end in self.ends).most_common()
        return ", ".join(f"{how} {count}" for how, count in counted)

    def as_json(self) -> dict[str, object]:
        """Returns the side as the command writes it."""
        return {
            "model_calls": self.model_calls,
            "tool_calls": self.tool_calls,
            "usd": format_usd(self.bill.micros),
            "risky_effects": self.risky_effects,
            "duplicates": self.duplicates,
            "distinct_outcomes": self.distinct_outcomes,
            "ended": self.ended,
        }


def measured(ends: Mapping[str, End], entries: Sequence[Entry], bill: Bill, crashes: int = 0) -> Side:
    """Measures the runs of one side.

    Args:
        ends: how each run ended, by its name.
        entries: what the books say of these runs.
        bill: what the model cost.
        crashes: how often their process was killed.
    """
    effects = [entry for entry in entries if entry.effect]
    repeated = Counter((entry.run, entry.tool, entry.args) for entry in effects)
    outcomes = {
        run: frozenset(Counter((one.tool, one.args) for one in effects if one.run == run).items()) for run in ends
    }
    bad = {entry.run for entry in effects if entry.risky} | {run for (run, *_), count in repeated.items() if count > 1}
    return Side(
        bill=bill,
        tool_calls=len(entries),
        effects=len(effects),
        risky_effects=sum(entry.risky for entry in effects),
        duplicates=sum(count - 1 for count in repeated.values()),
        distinct_outcomes=len(set(outcomes.values())),
        ends=tuple(ends.values()),
        spoiled=tuple(run in bad or end.how == CUT_OFF or not end.known for run, end in ends.items()),
        crashes=crashes,
    )
