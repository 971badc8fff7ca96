"""Approval specs: "finance" is one person of that group, "finance:2" is two."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_SPEC = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.@/-]{0,79})(?::([1-9][0-9]?))?", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Approval:
    """How many people of which group must say yes; at most 99."""

    group: str
    count: int = 1

    @property
    def spec(self) -> str:
        """The one spelling of it: "finance" for one person, "finance:2" for more."""
        return self.group if self.count == 1 else f"{self.group}:{self.count}"


def approval_of(text: str) -> Approval | None:
    """Reads a spec; None where it is none."""
    match = _SPEC.fullmatch(text)
    return Approval(match[1], int(match[2] or 1)) if match else None


def granted(specs: Iterable[str]) -> frozenset[str]:
    """Every spec that is fulfilled by what was granted: two yeses of a group are also one. Others are ignored."""
    approvals = [approval for approval in map(approval_of, specs) if approval is not None]
    return frozenset(
        Approval(approval.group, count).spec for approval in approvals for count in range(1, approval.count + 1)
    )


def needed(approvals: Iterable[Approval]) -> tuple[str, ...]:
    """The fewest specs that fulfil all of these, sorted: of one group, the largest count."""
    counts: dict[str, int] = {}
    for approval in approvals:
        counts[approval.group] = max(approval.count, counts.get(approval.group, 0))
    return tuple(sorted(Approval(group, count).spec for group, count in counts.items()))
