"""Holds registers of known values, such as payees and colleagues: what stands in one is known as a whole."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .spelling import Kind, Token
from .tokens import composed, is_plain, placed

_DOMAIN = re.compile(r"@[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+")
_LOCAL = re.compile(r"[a-z0-9][a-z0-9._+-]*")


@dataclass(frozen=True, slots=True)
class Register:
    """Known values in the one spelling of their tokens, and domains of mail; `org` where the organisation keeps it."""

    name: str
    values: frozenset[tuple[Token, ...]]
    domains: frozenset[str] = frozenset()
    org: bool = False

    def has(self, tokens: tuple[Token, ...]) -> bool:
        """Tells whether a value stands here as a whole, or is a mail address in one of the domains."""
        if tokens in self.values:
            return True
        if not self.domains or len(tokens) != 1 or tokens[0].kind is not Kind.MAIL:
            return False
        local, _, domain = tokens[0].text.partition("@")
        return domain in self.domains and _LOCAL.fullmatch(local) is not None


def register_of(name: str, entries: Iterable[str], *, org: bool) -> Register:
    """Builds a register.

    Args:
        name: its name.
        entries: values, or domains of mail such as `@acme.com`.
        org: the organisation keeps it.

    Raises:
        ValueError: an entry names nothing, or could stand for something else.
    """
    values: set[tuple[Token, ...]] = set()
    domains: set[str] = set()
    for entry in entries:
        text = entry.strip()
        if _DOMAIN.fullmatch(text.lower()):
            domains.add(text[1:].lower())
        elif read := _read(text):
            values.add(read)
        else:
            raise ValueError(f"an entry of the register `{name}` is empty, or holds signs that could mislead")
    return Register(name, frozenset(values), frozenset(domains), org)


def _read(text: str) -> tuple[Token, ...]:
    return tuple(one.token for one in placed(composed(text))) if is_plain(text) else ()
