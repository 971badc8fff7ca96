"""Reads the URLs that a model writes, and finds the host of the allow-list that one leads to."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from yarl import URL

from .refusal import Reason, refusal
from .settings import HostTable, HttpTable

MOST_CHARACTERS: Final = 8_000
_SECRET: Final = re.compile(r"(?P<before>.*?)secret:(?P<name>[A-Za-z_][A-Za-z0-9_]*)", re.S)
_EFFECTS: Final[Mapping[str, str]] = {"GET": "read", "HEAD": "read", "PUT": "write", "DELETE": "write"}
_STRICTNESS: Final = ("read", "write", "once")


@dataclass(frozen=True, slots=True)
class Target:
    """A place that a request goes to: what is judged is what is connected to, because one library reads both."""

    url: URL
    scheme: str
    host: str
    port: int

    @property
    def origin(self) -> tuple[str, str, int]:
        """The scheme, host and port, which decide who gets a header."""
        return self.scheme, self.host, self.port


@dataclass(frozen=True, slots=True)
class Allowed:
    """A host of the allow-list with everything that holds for it."""

    methods: frozenset[str]
    ports: frozenset[int]
    headers: Mapping[str, str]
    idempotent: bool

    def effect(self, method: str) -> str:
        """Returns the effect of a request to this host: `read`, `write` or `once`."""
        return _EFFECTS.get(method, "write" if self.idempotent else "once")


def target_of(text: str) -> Target:
    """Reads an absolute URL.

    Raises:
        ToolError: `url_refused`: it is no clear http or https URL.
    """
    if len(text) > MOST_CHARACTERS:
        raise refusal(Reason.URL_REFUSED, f"a URL has at most {MOST_CHARACTERS} characters")
    if "\\" in text or not text.isprintable() or " " in text:
        raise refusal(Reason.URL_REFUSED, "the URL has a blank, a backslash or a sign that nobody sees")
    try:
        url = URL(text)
        host, port = (url.raw_host or "").lower().rstrip("."), url.port
    except ValueError:
        raise refusal(Reason.URL_REFUSED, "the URL cannot be read") from None
    if url.scheme not in ("http", "https") or not host or port is None:
        raise refusal(Reason.URL_REFUSED, "a URL begins with https:// or http:// and names a host")
    if url.raw_user is not None or url.raw_password is not None:
        raise refusal(Reason.URL_REFUSED, "a URL may not name a user before its host")
    return Target(url.with_fragment(None).with_host(host), url.scheme, host, port)


def allowed_of(table: HttpTable) -> Mapping[str, Allowed]:
    """Returns the allow-list by host or pattern."""
    tables = [HostTable(name=one) if isinstance(one, str) else one for one in table.hosts]
    return {
        one.name: Allowed(
            frozenset(table.methods if one.methods is None else one.methods),
            frozenset(table.ports if one.ports is None else one.ports),
            one.headers,
            one.idempotent,
        )
        for one in tables
    }


def effect_of(allowed: Mapping[str, Allowed]) -> str:
    """Returns the strictest effect of all requests that an allow-list lets through."""
    found = {one.effect(method) for one in allowed.values() for method in one.methods}
    return max(found, key=_STRICTNESS.index, default="read")


def host_in(allowed: Mapping[str, Allowed], target: Target, method: str) -> Allowed:
    """Returns what holds for a target: its host by name first, then the narrowest pattern, then `*`.

    Raises:
        ToolError: the host, its port or the method is not allowed.
    """
    labels = target.host.split(".")
    patterns = (f"*.{'.'.join(labels[cut:])}" for cut in range(1, len(labels)))
    found = next((allowed[name] for name in (target.host, *patterns, "*") if name in allowed), None)
    if found is None:
        raise refusal(Reason.HOST_REFUSED, f"the host is not allowed; allowed are {_listed(sorted(allowed))}")
    if target.port not in found.ports:
        raise refusal(Reason.PORT_REFUSED, f"the port is not allowed; allowed are {_listed(sorted(found.ports))}")
    if method not in found.methods:
        raise refusal(Reason.METHOD_REFUSED, f"the method is not allowed; allowed are {_listed(sorted(found.methods))}")
    return found


def secret_in(value: str) -> tuple[str, str] | None:
    """Returns what stands before a reference to a secret, and its name; None where a header's value has none."""
    match = _SECRET.fullmatch(value)
    return (match["before"], match["name"]) if match else None


def secrets_of(allowed: Mapping[str, Allowed]) -> list[str]:
    """Lists the secrets that headers refer to."""
    found = (secret_in(value) for one in allowed.values() for value in one.headers.values())
    return sorted({one[1] for one in found if one})


def _listed(names: Sequence[object]) -> str:
    return ", ".join(f"`{name}`" for name in names)
