"""Finds the evidence that may go: older than its retention, and under no legal hold."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from backstay.errors import ConfigurationError

from .manifest import Manifest

VARIABLE = "BACKSTAY_LEGAL_HOLD"
_KINDS = ("run", "agent", "tenant")


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold: on all evidence, or on that of a run, an agent or a tenant."""

    kind: str
    name: str = ""

    @classmethod
    def read(cls, text: str) -> "Hold":
        """Reads `all`, `run:ID`, `agent:A` or `tenant:T`.

        Raises:
            ConfigurationError: it is none of these; evidence that is to be held must never go by a misspelling.
        """
        kind, _, name = text.partition(":")
        if text == "all" or (kind in _KINDS and name):
            return cls(kind, name)
        mend = "write `all`, `run:ID`, `agent:A` or `tenant:T`, separated by commas"
        raise ConfigurationError(f"`{kind}` is nothing that can be held", where=f"`{VARIABLE}`", mend=mend)

    def covers(self, manifest: Manifest) -> bool:
        """Tells whether evidence lies under this hold."""
        of = {"run": manifest.run_id, "agent": manifest.agent, "tenant": manifest.tenant}
        return self.kind == "all" or of[self.kind] == self.name


def expired(
    manifests: Iterable[Manifest], days: int, holds: Sequence[Hold], now: datetime, unread: Iterable[str] = ()
) -> list[Manifest]:
    """Returns the parts that may be deleted: those of executions of which all parts are older, and none is held.

    Args:
        manifests: all that the archive has.
        days: how long evidence is kept.
        holds: the legal holds.
        now: the time.
        unread: the names of manifests that cannot be read: how old they are, and of whom, nobody knows.
    """
    unknown = {name.rpartition("/")[0] for name in unread}
    together: dict[tuple[str, str], list[Manifest]] = {}
    for one in manifests:
        together.setdefault((one.run_id, one.execution), []).append(one)
    oldest = now - timedelta(days=days)
    return [
        one
        for parts in together.values()
        if unknown.isdisjoint(part.folder for part in parts)
        and not any(datetime.fromisoformat(part.at) > oldest for part in parts)
        and not any(hold.covers(part) for hold in holds for part in parts)
        for one in parts
    ]
