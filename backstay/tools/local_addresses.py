"""Finds links in a call that lead to this machine, to its own network link, or to the engine."""

import functools
import re
import unicodedata
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Any, Final, cast

from backstay.kernel.characters import UNSEEN

from .link_hosts import Host, read_host

LOCAL_ADDRESSES: Final = "local_addresses"
"""The fact that every tool has: the names of the arguments with such a link, as Set<String>."""

_FETCHED: Final = re.compile(r"(?:[a-z][a-z0-9+.-]+:)*?(?:https?|wss?|ftp):(?=[^ ])[/\\]*", re.I)
_OTHER: Final = re.compile(r"(?:[a-z][a-z0-9+.-]+:)+(?://|\\\\)", re.I)
_ROOTLESS: Final = re.compile(r"[/\\]{2,}")
_PATH: Final = re.compile(r"[/?#]")
_BETWEEN: Final = re.compile(r"[\s,;]+")
_BLANKS: Final = "".join(map(chr, range(33)))
_DROPPED: Final = re.compile(r"[\t\r\n]")  # browsers read a link without these
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_LINK_WORDS: Final = re.compile(r"(?:.*(?:url|uri|href)|webhook)s?")  # also baseurl
_HOST_WORDS: Final = re.compile(
    r"(?:url|uri|href|webhook).*|(?:link|hook|ipv?|addr|.*host|host.*|endpoint)s?|.*(?:proxy|proxies)"
)
_PLACE_WORDS: Final = re.compile(
    "(?:address|addresses|(?:site|server|origin|target|callback|domain|redirect|dest|destination|remote|peer|node"
    "|broker|dsn|upstream|gateway|backend|website|location|source|src|page|feed)s?)"
)


class _Kind(Enum):
    """The values to expect of an argument with a given name, where they have no scheme."""

    LINK = auto()  # one word is a host
    HOST = auto()  # one number is an address
    PLACE = auto()  # a host has the look of one: `origin` may be a town, and `target` an account
    NONE = auto()

    @classmethod
    def of(cls, name: str) -> "_Kind":
        words = name_words(name)
        if words and _LINK_WORDS.fullmatch(words[-1]):
            return cls.LINK
        if any(map(_HOST_WORDS.fullmatch, words)) or any(map(_LINK_WORDS.fullmatch, words)):
            return cls.HOST
        return cls.PLACE if any(map(_PLACE_WORDS.fullmatch, words)) else cls.NONE


def local_addresses(arguments: Mapping[str, Any], engine: str) -> list[str]:
    """Lists the arguments with a link that leads here: to a loopback or link-local address, or to the engine's host.

    A text counts as a link where it begins with a scheme, or the argument's name says so (`url`, `proxyHost`, ...). A
    link that cannot be read leads here, because another reader may see more in it, and so does a host of one word or
    with an ending kept for local networks, such as `.internal`. A name that only a look-up leads here is not seen, so
    a tool that fetches links still has to check the address that it connects to.

    Args:
        arguments: the arguments in JSON.
        engine: the host of the Temporal server; empty where it is not known.
    """
    known = _engine_host(engine) if engine else None
    return sorted(name for name, value in arguments.items() if _leads_here(name, value, known))


_engine_host = functools.lru_cache(maxsize=8)(read_host)
"""The same in every call, so that it is read once."""


def name_words(name: str) -> list[str]:
    """Returns the words of an argument's name in small letters: those of `baseURL` and `base_url` are the same."""
    return [word.lower() for word in _WORD.findall(name)]


def _leads_here(name: str, value: object, engine: Host | None) -> bool:
    """Tells whether something in a value leads here; the keys around a nested value belong to its name."""
    if isinstance(value, str):
        return any(_is_local(name, text, engine) for text in _readings(value))
    if isinstance(value, list):
        return any(_leads_here(name, entry, engine) for entry in cast("list[object]", value))
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        keys = [key for key in entries if "." in key or ":" in key]
        return _leads_here(name, keys, engine) or any(
            _leads_here(f"{name} {key}", entry, engine) for key, entry in entries.items()
        )
    return False


def _readings(text: str) -> Iterator[str]:
    """Yields a text without signs that show nothing and outer blanks; and the same with wide signs in usual form."""
    text = UNSEEN.sub("", text)
    for reading in dict.fromkeys((text, unicodedata.normalize("NFKC", text))):
        yield reading.strip(_BLANKS)


def _is_local(name: str, text: str, engine: Host | None) -> bool:
    unbroken = _DROPPED.sub("", text)
    if begin := _FETCHED.match(unbroken) or _OTHER.match(text):
        whole = unbroken if begin.re is _FETCHED else text
        links = [(begin, whole), *((_FETCHED.match(word) or _OTHER.match(word), word) for word in text.split()[1:])]
        return any(begin and _from(begin, link, engine) for begin, link in links)
    kind = _Kind.of(name)
    return kind is not _Kind.NONE and any(_bare(one, engine, kind) for one in dict.fromkeys((text, unbroken)))


def _from(begin: re.Match[str], link: str, engine: Host | None) -> bool:
    """Tells whether a link with a scheme leads here; what libraries fetch always has a host."""
    fetched = begin.re is _FETCHED
    authority = _authority(link[begin.end() :])
    return _reaches(authority, engine, single=fetched, unclear=True) if authority else fetched


def _bare(text: str, engine: Host | None, kind: _Kind) -> bool:
    """Tells whether a value without a scheme leads here."""
    if rootless := _ROOTLESS.match(text):
        return _reaches(_authority(text[rootless.end() :]), engine, single=True, unclear=True)
    words = _BETWEEN.split(text)
    if len(words) > 1 or text.startswith(("/", "\\")):  # a list, a sentence or a path: only addresses are sure
        shown = (_authority(word.lstrip("/\\")) for word in words)
        hosts = [read_host(authority) for authority in shown if "." in authority or ":" in authority]
        return any(host and host.addresses and host.is_local for host in hosts)
    authority = _authority(text)
    if not authority or (kind is _Kind.PLACE and authority.isdigit()):  # an account has a number too
        return False
    return _reaches(authority, engine, single=kind is _Kind.LINK, unclear=kind is _Kind.LINK)


def _authority(text: str) -> str:
    return _PATH.split(text, maxsplit=1)[0]


def _reaches(authority: str, engine: Host | None, *, single: bool, unclear: bool) -> bool:
    host = read_host(authority)
    if host is None:
        return unclear
    if host.is_local or (engine is not None and host.is_same(engine)):
        return True
    return host.is_single and (single or bool(host.port))
