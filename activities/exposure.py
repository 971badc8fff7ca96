"""Reads what a call adds to the meters of its run, and sums it up over the calls of a decision."""

from collections.abc import Mapping
from typing import Any

from backstay.contracts.policy import AuthorizeInput
from backstay.kernel.counted import sums_before
from backstay.kernel.meter import MeterError, excess, read_amount
from backstay.kernel.verdict import Outcome, Verdict
from backstay.ports import Tool


class UncountableError(ValueError):
    """A tool cannot say what a call adds to a meter; the words repeat no value of the call."""


def exposure_of(tool: Tool, values: Mapping[str, Any]) -> dict[str, int]:
    """Returns what a call adds to each meter, in ten-thousandths.

    Raises:
        UncountableError: a function raised, or returned what is no amount.
    """
    if not tool.spec.exposure:
        return {}
    try:
        found = tool.exposure(values)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a function of anybody's, which may raise anything
        listed = ", ".join(f"`{name}`" for name in tool.spec.exposure)
        raise UncountableError(f"what the call adds to {listed} cannot be told: {type(error).__name__}") from error
    return {name: _read(name, value) for name, value in found.items()}


def _read(name: str, value: object) -> int:
    try:
        return read_amount(value)
    except MeterError as error:
        raise UncountableError(f"what the call adds to `{name}` cannot be counted: {error}") from error


class Tally:
    """The sums of meters while the calls of one decision are judged one after the other.

    Ledgers were asked about all calls before any is judged: what they hold of a call that turns out not to be made is
    in their sums of those after it, and is taken away again.
    """

    def __init__(self, given: AuthorizeInput) -> None:
        self._given = given
        self._bounds = given.bounds
        self._sums = dict(given.facts.exposure)
        self._dropped: dict[str, int] = {}

    def question(self) -> AuthorizeInput:
        """Returns the question as it stands for the next call."""
        given = self._given
        if self._sums != given.facts.exposure:
            facts = given.facts.model_copy(update={"exposure": dict(self._sums)})
            given = given.model_copy(update={"facts": facts})
        if self._dropped:
            counted = {call_id: sums_before(sums, self._dropped) for call_id, sums in given.counted.items()}
            given = given.model_copy(update={"counted": counted})
        return given

    def count(self, call_id: str, verdict: Verdict) -> None:
        """Counts a call that was judged, unless it is certainly not made."""
        over = excess(self._sums, verdict.exposure, self._bounds, {})
        if verdict.outcome is not Outcome.DENY and (over is None or over.groups):
            self._sums = added(self._sums, verdict.exposure)
        elif call_id not in self._given.uncounted:
            self._dropped = added(self._dropped, verdict.exposure)


def added(sums: Mapping[str, int], exposure: Mapping[str, int]) -> dict[str, int]:
    """Returns the sums of meters after a call."""
    return {name: sums.get(name, 0) + exposure.get(name, 0) for name in {**sums, **exposure}}
