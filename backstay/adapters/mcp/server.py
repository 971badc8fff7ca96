"""Describes an MCP server as an agent names it: how it is reached, and what it is given."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Scope = Literal["tenant", "run", "worker"]
Era = Literal["auto", "legacy", "2026-07-28"]
ReadSecret = Callable[[str], str]
"""Returns the present value of a secret, or raises `SecretError`."""

_SECRET = re.compile(r"secret:([A-Za-z_][A-Za-z0-9_]*)")


@dataclass(frozen=True, slots=True)
class Server:
    """A server, by the command that starts it or by its address.

    Attributes:
        name: the agent's own name for it.
        command: the program and its arguments; empty for a server that runs already.
        url: the address of one that runs already.
        env: variables of the program; `secret:NAME` stands for a secret.
        headers: of each request, likewise.
        scope: whose calls share a connection.
        era: how the server is spoken to.
        asks: True where people answer what it asks in the middle of a call.
    """

    name: str
    command: tuple[str, ...] = ()
    url: str = ""
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    scope: Scope = "tenant"
    era: Era = "auto"
    asks: bool = False

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the secrets that it is given."""
        return tuple(dict.fromkeys(name for value in self._values() if (name := secret_in(value)) is not None))

    def _values(self) -> tuple[str, ...]:
        return (*self.env.values(), *self.headers.values())


def secret_in(value: str) -> str | None:
    """Returns the name of the secret that a value stands for; None where it is plain text."""
    found = _SECRET.fullmatch(value)
    return found[1] if found else None


def filled(values: Mapping[str, str], read: ReadSecret) -> dict[str, str]:
    """Returns values with the secrets that they stand for.

    Raises:
        SecretError: one cannot be read.
    """
    return {name: value if (of := secret_in(value)) is None else read(of) for name, value in values.items()}
