"""Exposure: limits of meters as files and admissions hold them, and sums as people read them, in decimal strings."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field

from backstay.kernel.approval import quorum_of
from backstay.kernel.ledger_period import Period
from backstay.kernel.ledger_sums import Counts, Limit, quantity_of
from backstay.kernel.meter import Bound, Exposed, MeterError, format_amount, read_amount

from .problems import Contract

MeterName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
"""The name of a meter, which rules can write after a point."""
Sums = dict[str, dict[Literal["run", "day", "month"], str]]
"""The sums of each meter, in each period that is counted."""
_ASK = "ask:"


def _text_only(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError('expected a decimal string such as "500"')
    return value


def _amount(value: str) -> str:
    try:
        read_amount(value)
    except MeterError as error:
        raise ValueError(f'expected a decimal string such as "500": {error}') from None
    return value


def _limit(value: Any) -> Any:
    if value is True:
        return value
    if not isinstance(value, str):
        raise ValueError('expected a decimal string such as "500", or true to count without a limit')
    return _amount(value)


def _on_exceed(value: str) -> str:
    if value != "deny" and (not value.startswith(_ASK) or quorum_of(value.removeprefix(_ASK)) is None):
        raise ValueError('expected "deny", or "ask:" and a group, such as "ask:finance"')
    return value


def _is_absent(value: object) -> bool:
    return value is None


Quantity = Annotated[str, BeforeValidator(_text_only), Field(max_length=64), AfterValidator(_amount)]
"""A decimal string of zero or more with at most four decimals, such as "495.5"."""
ExposureLimit = Annotated[str | Literal[True], BeforeValidator(_limit)]
"""A limit, or true for a meter that is counted without one."""


class ExposureLimits(Contract):
    """The limits of a meter; `true` counts it without a limit. The organisation's and the agent's hold both.

    Attributes:
        run: the most within one run, as text: `"500"`.
        day: the most within one day, in all runs of a tenant.
        month: the most within one month, in all runs of a tenant.
        on_exceed: a call above a limit is refused and the model is told (`deny`), or people decide (`ask:GROUP`).
    """

    run: ExposureLimit | None = None
    day: ExposureLimit | None = None
    month: ExposureLimit | None = None
    on_exceed: Annotated[str, AfterValidator(_on_exceed)] = "deny"

    @property
    def asks(self) -> str | None:
        """The spec of the group that may let a call above a limit; None where nobody may."""
        return None if self.on_exceed == "deny" else self.on_exceed.removeprefix(_ASK)

    def bound(self, members: Mapping[str, object]) -> Bound | None:
        """Returns the limit of a run as the kernel counts it; a group without `members` lets no call above it."""
        return Bound(read_amount(self.run), self._group(members)) if isinstance(self.run, str) else None

    def limits(self, meter: str, members: Mapping[str, object], warn_at: int) -> list[Limit]:
        """Returns the limits of a tenant's day and month as a ledger counts them, of the same groups as `bound`."""
        found = {Period.DAY: self.day, Period.MONTH: self.month}
        return [
            Limit("tenant", quantity_of(meter), period, read_amount(most), warn_at, self._group(members))
            for period, most in found.items()
            if isinstance(most, str)
        ]

    def counts(self, period: Period) -> bool:
        """Tells whether this level has the meter counted over many runs, with a limit or without."""
        return (self.day if period is Period.DAY else self.month) is not None

    def _group(self, members: Mapping[str, object]) -> str | None:
        asked = quorum_of(self.asks) if self.asks else None
        return asked.spec if asked and members.get(asked.group) else None


class MeterSpec(Contract):
    """The limits of one meter, as a run was admitted with them.

    `members` lists who is in the groups that are asked. `counted` names the periods in which ledgers count the meter
    over many runs; those of admissions from before that count it in none.
    """

    organisation: list[ExposureLimits] = Field(default_factory=list[ExposureLimits])
    agent: ExposureLimits | None = None
    members: dict[str, list[str]] = Field(default_factory=dict[str, list[str]])
    counted: list[Period] = Field(default_factory=list[Period])

    @property
    def levels(self) -> list[ExposureLimits]:
        """The limits of all levels, which all hold."""
        return [*self.organisation, *([self.agent] if self.agent else [])]

    def bounds(self) -> tuple[Bound, ...]:
        """Returns the limits of a run as the kernel counts them."""
        found = (one.bound(self.members) for one in self.levels)
        return tuple(bound for bound in found if bound is not None)

    def limits(self, name: str, warn_at: int) -> list[Limit]:
        """Returns the limits of a tenant's day and month as a ledger counts them."""
        return [limit for one in self.levels for limit in one.limits(name, self.members, warn_at)]


class ShownSum(Contract):
    """A sum on the card of a call.

    Attributes:
        before: the sum without the call.
        after: the sum with the call.
        limit: its lowest limit; null where it has none.
    """

    before: str
    after: str
    limit: str | None

    @classmethod
    def of(cls, exposed: Exposed) -> Self:
        """Returns kernel figures as people read them."""
        limit = None if exposed.limit is None else format_amount(exposed.limit)
        return cls(before=format_amount(exposed.before), after=format_amount(exposed.after), limit=limit)


class ShownExposure(ShownSum):
    """A meter on the card of a call: its sum within the run, and those of the tenant that are counted.

    Attributes:
        before: the sum without the call.
        after: the sum with the call.
        limit: its lowest limit; null where it has none.
        day: the same for all runs of the tenant in a day; left out where it is not counted.
        month: the same for all runs of the tenant in a month; left out where it is not counted.
    """

    day: Annotated[ShownSum | None, Field(exclude_if=_is_absent)] = None
    month: Annotated[ShownSum | None, Field(exclude_if=_is_absent)] = None

    def over_many_runs(self, counted: Mapping[Period, Exposed]) -> "ShownExposure":
        """Returns the meter with the sums of its tenant."""
        return self.model_copy(update={period.value: ShownSum.of(one) for period, one in counted.items()})


def sums(counted: Mapping[str, int], over_many_runs: Counts, names: Iterable[str]) -> Sums:
    """Returns the sums of meters as people read them."""
    return {
        name: {
            "run": format_amount(counted.get(name, 0)),
            **{period.value: format_amount(units) for period, units in over_many_runs.get(name, {}).items()},
        }
        for name in names
    }


def over_many_runs(found: Sums) -> list[tuple[str, str]]:
    """Returns the sums that are of all runs of a tenant, each with a label for a row."""
    return [
        (f"{name}, tenant this {period}", by_period[period])
        for name, by_period in found.items()
        for period in ("day", "month")
        if period in by_period
    ]
