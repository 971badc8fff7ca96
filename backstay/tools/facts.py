"""Offers ready-made facts for tools: pure functions of the arguments, with results that rules can read.

@tool(effect="once", facts={"recipient_domains": ("Set<String>", lambda to: mail_domains(to))})
def send_email(to: str, subject: str, body: str) -> str: ...
"""

import re
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import urlsplit

NAMED_BY_USER: Final = "named_by_user"
"""The fact that every tool has: the names of the arguments that the goal spells out, as Set<String>."""

_LOCAL = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+"
_DOMAIN = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?:[^@<>\"\r\n]*<{_LOCAL}@(?P<named>{_DOMAIN})>)|(?:{_LOCAL}@(?P<plain>{_DOMAIN}))")


def mail_domains(*addresses: str) -> list[str]:
    """Lists the domains of all recipients in some address lists, in lower case, sorted.

    A part that is no address gives the domain "", so that a rule over known domains never holds for it.
    """
    return sorted({_domain(part) for text in addresses for part in re.split("[,;]", text)})


def _domain(text: str) -> str:
    match = _ADDRESS.fullmatch(text.strip(" "))
    return (match["named"] or match["plain"]).lower() if match else ""


def url_host(url: str) -> str:
    """Returns the host that a URL leads to, in lower case and without port; "" if it is no http or https URL."""
    if any(character.isspace() or character == "\\" for character in url):
        return ""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").rstrip(".") if parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""


def sql_only_reads(statement: str, dialect: str | None = None) -> bool:
    """Tells whether a text is one SQL query without a writing part; False for several statements and other texts.

    A query that calls a stored function counts as reading, because the effect of the function cannot be seen here.

    Args:
        statement: the SQL text.
        dialect: the dialect by sqlglot's name; default: its own.
    """
    from sqlglot import exp, parse
    from sqlglot.errors import SqlglotError

    try:
        parsed = parse(statement, dialect=dialect)
    except (SqlglotError, RecursionError):
        return False
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Query):
        return False
    writes = (
        *(exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Copy, exp.Create, exp.Drop, exp.Alter, exp.TruncateTable),
        *(exp.Command, exp.Into, exp.Lock, exp.Set, exp.Pragma),
    )
    return not any(isinstance(node, writes) and not isinstance(node, exp.Query) for node in parsed[0].walk())


def named_arguments(goal: str, arguments: Mapping[str, Any]) -> list[str]:
    """Lists the arguments with a value that the goal spells out, sorted: the person who asked has said them.

    A list counts if the goal names all its entries; an object never counts.
    """
    return sorted(name for name, value in arguments.items() if _named(goal, value))


def _named(goal: str, value: object) -> bool:
    if isinstance(value, list):
        entries = cast("list[object]", value)
        return bool(entries) and all(_named(goal, entry) for entry in entries)
    return isinstance(value, str | int | float) and not isinstance(value, bool) and named_in(goal, str(value))


def named_in(goal: str, value: str) -> bool:
    """Tells whether the goal has a value as a separate word, in upper or lower case."""
    return bool(value) and any(
        not (before.isalnum() or after.isalnum()) for before, after in _neighbours(goal.casefold(), value.casefold())
    )


def _neighbours(text: str, value: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = text.find(value)
    while at >= 0:
        end = at + len(value)
        found.append((text[at - 1 : at] if at else " ", text[end : end + 1] or " "))
        at = text.find(value, at + 1)
    return found
