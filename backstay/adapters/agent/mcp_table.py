"""Describes the tables `[mcp.NAME]` of `agent.toml`: how a server is reached, and what its tools may do."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from backstay.contracts.admission import Effect
from backstay.contracts.problems import Contract
from backstay.errors import ConfigurationError
from backstay.kernel.marks import Roles
from backstay.tools.declare import seconds

Scope = Literal["tenant", "run", "worker"]
Era = Literal["auto", "legacy", "2026-07-28"]
Fields = bool | list[str]

SECRET = re.compile(r"secret:([A-Za-z_][A-Za-z0-9_]*)")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_ON_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def _command(value: list[str]) -> list[str]:
    if not value or not value[0].strip():
        raise ValueError('expected a program and its arguments, such as ["mcp-server-git", "--repository", "."]')
    if any("\0" in part for part in value):
        raise ValueError("a program's arguments cannot hold a NUL")
    return value


def _address(value: str) -> str:
    """Refuses what is no address, without repeating any of it: it may hold a key."""
    try:
        parts = urlsplit(value)
        right = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        right = False
    if not right or re.search(r"\s", value):
        raise ValueError("expected an address that begins with https:// or http://")
    return value


def _waiting(value: str) -> str:
    try:
        seconds(value)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None
    return value


def _headers(value: dict[str, str]) -> dict[str, str]:
    for name in value:
        if not _HEADER.fullmatch(name):
            raise ValueError(f"`{name}` is no name of a header")
    return value


ServerName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Value = Annotated[str, StringConstraints(pattern=r"^[^\x00\r\n]*$")]
Pattern = Annotated[str, Field(min_length=1, max_length=128)]
Label = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]


class RolesTable(Contract):
    """The arguments of some tools that rules know by their role.

    Attributes:
        targets: those that say whom or what a call reaches.
        items: those that say what a call changes or destroys.
        texts: those with free texts.
    """

    targets: list[str] = Field(default_factory=list[str])
    items: list[str] = Field(default_factory=list[str])
    texts: list[str] = Field(default_factory=list[str])

    def roles(self) -> Roles:
        """Returns the roles in the kernel's form."""
        return Roles(tuple(self.targets), tuple(self.items), tuple(self.texts))


class McpTable(Contract):
    """A table `[mcp.NAME]`: an MCP server, and what its tools may do; `*` in a tool's name stands for anything.

    Attributes:
        command: the program that is the server, and its arguments.
        url: the address of a server that runs already, in place of `command`.
        env: variables of the program, which gets nothing else of the worker's; `secret:NAME` reads a secret.
        headers: what every request to the address carries, such as `Authorization = "secret:NAME"`, all of it a secret.
        effect: what a call of a tool may do, by pattern; the nearest counts, and `once` where there is none.
        timeout: how long one attempt at a call may take.
        trusted: results come from nobody outside, so that they do not taint the run.
        clean: fields of results that outsiders cannot write, by pattern.
        labels: labels of results, or of some fields, by pattern.
        roles: the arguments that rules know by their role, by pattern.
        scope: whose calls share one connection, and with it what the server remembers: those of a tenant, of a run, or
            all of the worker.
        questions: the group that answers what the server asks in the middle of a call; without it it may not ask.
        era: how the server is spoken to, where finding it out fails: `legacy` begins with a handshake.
    """

    command: Annotated[list[str], AfterValidator(_command)] | None = None
    url: Annotated[str, AfterValidator(_address)] | None = None
    env: dict[Variable, Value] = Field(default_factory=dict[str, str])
    headers: Annotated[dict[str, Value], AfterValidator(_headers)] = Field(default_factory=dict[str, str])
    effect: dict[Pattern, Effect] = Field(default_factory=dict[str, Effect])
    timeout: Annotated[str, AfterValidator(_waiting)] = "60s"
    trusted: bool = False
    clean: dict[Pattern, list[str]] = Field(default_factory=dict[str, list[str]])
    labels: dict[Pattern, dict[Label, Fields]] = Field(default_factory=dict[str, dict[str, Fields]])
    roles: dict[Pattern, RolesTable] = Field(default_factory=dict[str, RolesTable])
    scope: Scope = "tenant"
    era: Era = "auto"
    questions: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> "McpTable":
        if (self.command is None) == (self.url is None):
            raise ValueError("expected either a `command` or a `url`")
        if self.command is None and self.env:
            raise ValueError("`env` goes with a `command`: a server at a `url` has variables of its own")
        if self.url is None and self.headers:
            raise ValueError("`headers` go with a `url`: a program gets `env`")
        if self.url and self.headers and not _is_private(self.url):
            raise ValueError("`headers` would be sent in plain text: write an address that begins with https://")
        if self.trusted and self.clean:
            raise ValueError("`clean` excepts fields from results that are not `trusted`")
        return self

    def secrets(self) -> tuple[str, ...]:
        """Returns the names of the secrets that the server is given."""
        found = (SECRET.fullmatch(value) for value in (*self.env.values(), *self.headers.values()))
        return tuple(dict.fromkeys(match[1] for match in found if match))


def _is_private(url: str) -> bool:
    """Tells whether nobody on the way reads what is sent to an address."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in _ON_THIS_MACHINE
