"""Reads the standing grants that a rule allows, and the text by which a rule is known again."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_PART = re.compile(r"\s*(uses|hours):([1-9][0-9]{0,3})\s*", re.ASCII)
MOST_USES = 1_000
MOST_HOURS = 720


@dataclass(frozen=True, slots=True)
class Cap:
    """The most that one standing grant may allow: how many calls, and for how many hours."""

    uses: int
    hours: int


@dataclass(frozen=True, slots=True, order=True)
class RuleText:
    """A rule by its id and the digest of its text: once its text changes it is another rule."""

    id: str
    digest: str


@dataclass(frozen=True, slots=True)
class Grantable:
    """The rules that ask for an approval, where each of them allows a standing grant, and the lowest of their caps."""

    cap: Cap
    rules: tuple[RuleText, ...]


@dataclass(frozen=True, slots=True)
class GrantRef:
    """A standing grant that let a call through, and who gave it."""

    id: str
    by: str


def cap_of(spec: str) -> Cap | None:
    """Reads `uses:20,hours:8`; returns None for anything else, and for more than 1,000 uses or 720 hours."""
    parts = [match.groups() for part in spec.split(",") if (match := _PART.fullmatch(part))]
    found = {name: int(number) for name, number in parts}
    if len(spec.split(",")) != len(found) or found.keys() != {"uses", "hours"}:
        return None
    cap = Cap(found["uses"], found["hours"])
    return cap if cap.uses <= MOST_USES and cap.hours <= MOST_HOURS else None


def grantable(rules: Iterable[tuple[RuleText, Cap | None]]) -> Grantable | None:
    """Returns what some rules together allow; None where one of them allows no grant, or there are none."""
    asking = list(rules)
    caps = [cap for _, cap in asking if cap is not None]
    if not caps or len(caps) < len(asking):
        return None
    lowest = Cap(min(cap.uses for cap in caps), min(cap.hours for cap in caps))
    return Grantable(lowest, tuple(sorted(rule for rule, _ in asking)))
