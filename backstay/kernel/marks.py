"""Describes what a tool declares of its results and arguments: labels, clean fields, and the roles of arguments."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .origins import UNTRUSTED

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of a tool's results; a field is a path of names joined by points, without places in lists.

    `labels` has the fields that each label stands on, all where it has none. `clean` are the fields that outsiders
    cannot write: they are not `untrusted`, whatever `labels` say. A record is named by its fields `names`, and a result
    as a whole by the argument `names_result`. `ids` has the kinds of ids, by argument and by field.
    """

    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    clean: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    names_result: str | None = None
    ids: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def everywhere(self) -> frozenset[str]:
        """The labels of a result that does not parse, or is plain text."""
        return frozenset(self.labels)

    def labels_at(self, path: Path) -> frozenset[str]:
        """Returns the labels of a field."""
        found = {label for label, fields in self.labels.items() if not fields or _covered(path, fields)}
        if UNTRUSTED in found and _covered(path, self.clean):
            found.discard(UNTRUSTED)
        return frozenset(found)

    def kind_at(self, path: Path) -> str | None:
        """Returns the kind of the ids that stand in a field; None where it is declared to have none."""
        return next((kind for name, kind in self.ids.items() if tuple(name.split(".")) == path), None)


@dataclass(frozen=True, slots=True)
class Roles:
    """The roles of a tool's arguments, for rules that hold for many tools."""

    targets: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    def of(self, role: str) -> tuple[str, ...]:
        """Returns the arguments of a role."""
        return {"targets": self.targets, "items": self.items, "texts": self.texts}[role]

    def is_text(self, name: str) -> bool:
        """Tells whether an argument is a free text: it is declared so, or none is and it has no other role."""
        return name in self.texts if self.texts else name not in self.targets and name not in self.items


UNKNOWN = Marks({UNTRUSTED: ()})
"""The marks of a tool that nobody knows any more."""


def _covered(path: Path, fields: tuple[str, ...]) -> bool:
    """Tells whether a path is one of some fields, or lies below one; a name with a point in it is no path."""
    return any(path[: len(parts)] == parts for parts in (tuple(one.split(".")) for one in fields))
