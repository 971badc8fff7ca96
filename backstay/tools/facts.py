"""Offers ready-made facts for tools: pure functions of the arguments, with results that rules can read.

@tool(effect="once", facts={"recipient_domains": ("Set<String>", lambda to: mail_domains(to))})
def send_email(to: str, subject: str, body: str) -> str: ...
"""

import functools
import os
import posixpath
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from backstay.kernel.mentions import Match, Mentions
from backstay.kernel.named import match_of

from .link_hosts import read_host
from .local_addresses import LOCAL_ADDRESSES

NAMED_BY_USER: Final = "named_by_user"
"""The fact that every tool has: the names of the arguments that the goal spells out, as Set<String>."""

NAMED_WEAKLY: Final = "named_weakly"
"""The same, of the arguments with only a short value, such as 7, which a goal may have for another reason."""

EVERY_TOOLS_FACTS: Final = {name: "Set<String>" for name in (NAMED_BY_USER, NAMED_WEAKLY, LOCAL_ADDRESSES)}

_UNCLEAR_PATH: Final = re.compile(r"\\|%[0-9A-Fa-f]{2}|^[~$]|/[~$]|^[A-Za-z][A-Za-z0-9+.-]*:|^ ")
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
    """Returns the host that a URL leads to, in one spelling and without port; "" if it is no clear http or https URL.

    The spelling has small letters, no escapes, no wide or invisible signs, and an address as numbers: `127.1` is
    `127.0.0.1`, and `[::0001]` is `::1`.
    """
    if any(character.isspace() or character == "\\" for character in url):
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    host = read_host(parts.netloc) if parts.scheme in ("http", "https") else None
    return host.name if host else ""


def plain_path(path: str) -> str:
    """Returns a path as it is written, without `.`, `..` and doubled slashes; "" if it may lead anywhere else.

    "" is for one that is empty or no text, leads above where it begins, or holds a backslash, a control or hidden sign,
    a percent escape, a drive or scheme, a `~` or `$` that a shell replaces, a sign that looks like a slash or a dot, or
    a part that ends with a dot or a blank, which some systems drop. Links are not followed: see `path_inside`.
    """
    if not isinstance(path, str) or not path or not path.isprintable() or _UNCLEAR_PATH.search(path):  # pyright: ignore[reportUnnecessaryIsInstance]
        return ""
    if any(set(unicodedata.normalize("NFKC", sign)) & set("./\\~%$:") for sign in path if not sign.isascii()):
        return ""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    depth = 0
    for part in parts:
        depth += -1 if part == ".." else 1
        if depth < 0 or (part != ".." and part[-1] in ". "):
            return ""
    return posixpath.normpath("/" + "/".join(parts))[0 if path.startswith("/") else 1 :] or "."


def path_inside(root: str, *paths: str) -> bool:
    """Tells whether all of some paths lead into a folder, or to the folder itself; False where that is not certain.

    Each path must be a `plain_path`, and a relative one counts from the folder. Links of the worker's own file system
    are followed, in the folder and in the path, so that a link which leads out is outside; what does not exist there,
    such as a file on another machine, is judged by its name alone. The tool must open the very path that was judged.

    Args:
        root: the folder; a relative one counts from the worker's working directory.
        paths: the arguments; without any, the answer is False.
    """
    return bool(root) and bool(paths) and all(_inside(root, path) for path in paths)


def _inside(root: str, path: str) -> bool:
    plain = plain_path(path)
    if not plain:
        return False
    try:
        lexical = posixpath.join(os.path.abspath(root), plain)
        real = os.path.realpath(posixpath.join(os.path.abspath(root), path))
        pairs = ((os.path.abspath(root), lexical), (os.path.realpath(root), real))
        return all(os.path.commonpath([folder, os.path.normpath(inner)]) == folder for folder, inner in pairs)
    except (OSError, ValueError):
        return False


def sql_only_reads(statement: str, dialect: str | None = None) -> bool:
    """Tells whether a text is one SQL query without a writing part; False for several statements and other texts.

    A query that calls a stored function counts as reading, because the effect of the function cannot be seen here. A
    text of more than 10,000 characters, or one that keeps the parser guessing, is not parsed to its end: False.

    Args:
        statement: the SQL text.
        dialect: the dialect by sqlglot's name; default: its own.
    """
    from sqlglot import exp

    from .sql_text import parsed

    found = parsed(statement, dialect)
    if len(found) != 1 or not isinstance(found[0], exp.Query):
        return False
    writes = (
        *(exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Copy, exp.Create, exp.Drop, exp.Alter, exp.TruncateTable),
        *(exp.Command, exp.Into, exp.Lock, exp.Set, exp.Pragma),
    )
    return not any(isinstance(node, writes) and not isinstance(node, exp.Query) for node in found[0].walk())


def named_arguments(
    goal: str, arguments: Mapping[str, Any], values: Mapping[str, Any] | None = None, how: Match = Match.FULL
) -> list[str]:
    """Lists the arguments with a value that the goal spells out, sorted: the person who asked has said them.

    A value counts as a whole word, address, link, file name, number or date, never as a piece of one: see
    `backstay.kernel.tokens`. A list counts if the goal names all its entries; an object never counts. It stays a
    heuristic: a text that was pasted into the goal names what it says.

    Args:
        goal: what the run was asked for.
        arguments: as the model wrote them, in JSON.
        values: the same in the tool's own types: a decimal that is written as text is an amount too.
        how: `FULL`, or `WEAK` for those that may stand there by accident, in an unclear spelling, or as what not to do.
    """
    mentions, typed = _mentions(goal), values or {}
    return sorted(name for name, value in arguments.items() if match_of(mentions, name, value, typed.get(name)) is how)


@functools.lru_cache(maxsize=64)
def _mentions(goal: str) -> Mentions:
    return Mentions(goal)
