"""Reads the recipients of a message: a list of bare addresses, each of them one, in ASCII."""

import re
from collections.abc import Sequence
from typing import Any, Final, cast

import idna

from .refusal import Reason, refusal

_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII)
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}", re.ASCII)
_MOST_LOCAL: Final = 64
_MOST: Final = 254


def address_of(text: str) -> str | None:
    """Returns an address with its domain in small letters and ASCII; None for all that is not one bare address.

    A name beside it, quotes, comments, groups and lists are refused: libraries disagree about whom they reach.
    """
    local, at, domain = text.rpartition("@")
    if not at or not _LOCAL.fullmatch(local) or len(local) > _MOST_LOCAL:
        return None
    if not domain.isascii():
        if not domain.isprintable():
            return None  # the mapping would leave out what nobody sees
        try:
            domain = idna.encode(domain, uts46=True).decode()
        except idna.IDNAError:
            return None
    domain = domain.lower()
    # The last label is never a number, so that no address of a machine is taken for a domain.
    if not _DOMAIN.fullmatch(domain) or domain.rpartition(".")[2].isdigit() or len(local) + 1 + len(domain) > _MOST:
        return None
    return f"{local}@{domain}"


def addresses_of(to: Sequence[str], most: int) -> list[str]:
    """Returns the recipients, each once.

    Raises:
        ToolError: `recipient_refused`: there are none or too many, or one is no bare address.
    """
    if not to or len(to) > most:
        raise refusal(Reason.RECIPIENT_REFUSED, f"a message has 1 to {most} recipients")
    found = [address_of(one) for one in to]
    if None in found:
        what = f"recipient {found.index(None) + 1} is no bare address such as `ann@example.com`; give one in each entry"
        raise refusal(Reason.RECIPIENT_REFUSED, what)
    return list(dict.fromkeys(one for one in found if one))


def recipient_domains(to: Any) -> list[str]:
    """Lists the domains of all recipients, sorted; "" for what is no bare address, so that no rule holds for it."""
    entries = cast("list[Any]", to) if isinstance(to, list) else [to]
    found = (address_of(one) if isinstance(one, str) else None for one in entries)
    return sorted({one.rpartition("@")[2] if one else "" for one in found})


def recipient_count(to: Any) -> int:
    """Returns the number of entries, whatever stands in them."""
    return len(cast("list[Any]", to)) if isinstance(to, list) else 1
