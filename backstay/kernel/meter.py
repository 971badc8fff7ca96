"""Meters: quantities of the domain that a budget counts, such as refunds in USD.

An amount is an integer of ten-thousandths inside and a decimal string at the edges, never a float.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal

from .ledger_sums import Excess as LimitExcess

UNITS = 10_000
MOST = 2**63 - 1
"""The largest amount, in ten-thousandths: rules hold no larger decimal."""
_PLAIN = re.compile(r"[0-9]{1,24}(?:\.[0-9]{1,24})?", re.ASCII)
_PLACE = Decimal("0.0001")
_LARGEST = Decimal(MOST).scaleb(-4)
_EXACT = Context(prec=40)


class MeterError(ValueError):
    """A value that is no exact decimal of zero or more with at most four places."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit in ten-thousandths, and the spec of the group that may let a call above it; None lets none."""

    limit: int
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Exposed:
    """A meter at one call: the sum before, the call's amount, and the lowest limit that matters; None is no limit."""

    before: int
    amount: int
    limit: int | None = None

    @property
    def after(self) -> int:
        """The sum with the call."""
        return self.before + self.amount


@dataclass(frozen=True, slots=True)
class Excess:
    """The meters that a call would take above a limit, and the groups that may let it; none lets it without them.

    Attributes:
        meters: those that pass a limit of the run.
        limit: the limit over many runs that has no room.
    """

    meters: Mapping[str, Exposed]
    groups: tuple[str, ...] = ()
    limit: LimitExcess | None = None

    def beside(self, limit: LimitExcess | None) -> "Excess":
        """Returns this together with a limit over many runs; where one of both lets nobody above it, nobody may."""
        if limit is None:
            return self
        final = not limit.groups or (bool(self.meters) and not self.groups)
        groups = () if final else tuple(dict.fromkeys([*self.groups, *limit.groups]))
        return Excess(self.meters, groups, limit)


def read_amount(value: object) -> int:
    """Reads a value that a tool computed as ten-thousandths; nothing is rounded.

    Args:
        value: an integer, a decimal, a float with a spelling of at most four places, or plain digits as text.

    Raises:
        MeterError: it is anything else, or negative, not finite, or too large.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise MeterError(f"a {type(value).__name__} is no amount")
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        raise MeterError("a text that is no plain decimal is no amount")
    number = Decimal(float.__repr__(value) if isinstance(value, float) else value)
    if not number.is_finite():
        raise MeterError("an amount is a finite number")
    if number < 0:
        raise MeterError("an amount is zero or more")
    if number > _LARGEST:
        raise MeterError(f"an amount is at most {format_amount(MOST)}")
    if number.quantize(_PLACE, context=_EXACT) != number:
        raise MeterError("an amount has at most four decimals")
    return int(number.scaleb(4, context=_EXACT))


def read_sum(text: str) -> int:
    """Reads a sum as `format_amount` wrote it: unlike an amount it may be of any size."""
    whole, _, part = text.partition(".")
    return int(whole) * UNITS + int(part.ljust(4, "0"))


def format_amount(units: int) -> str:
    """Writes ten-thousandths as the shortest decimal: 990000 is "99", 5000 is "0.5"."""
    whole, part = divmod(units, UNITS)
    return f"{whole}.{part:04d}".rstrip("0").rstrip(".")


def excess(
    taken: Mapping[str, int],
    exposure: Mapping[str, int],
    bounds: Mapping[str, Sequence[Bound]],
    agreed: Mapping[str, int],
) -> Excess | None:
    """Returns the meters that a call would take above a limit; None where it fits.

    Args:
        taken: what is spent and held of each meter.
        exposure: what the call adds.
        bounds: the limits of each meter.
        agreed: the sum that people agreed to for this very call, where they were asked.
    """
    meters: dict[str, Exposed] = {}
    passed: list[Bound] = []
    for name, amount in exposure.items():
        before, allowed = taken.get(name, 0), agreed.get(name, 0)
        limits = [(one, one.limit if one.group is None else max(one.limit, allowed)) for one in bounds.get(name, ())]
        over = [one for one, most in limits if amount and before + amount > most]
        if over:
            meters[name] = Exposed(before, amount, min(one.limit for one in over))
            passed += over
    groups = dict.fromkeys(one.group for one in passed if one.group is not None)
    final = any(one.group is None for one in passed)
    return Excess(meters, () if final else tuple(groups)) if meters else None
