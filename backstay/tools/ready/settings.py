"""Describes the tables `[std.*]` of agent.toml: the settings of ready-made tools."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypedDict

from pydantic import AfterValidator, Field

from backstay.contracts.problems import Contract

from .public_addresses import is_metadata

Count = Annotated[int, Field(ge=1, le=10**12, strict=True)]
Labels = dict[str, bool | list[str]]


class ResultMarks(TypedDict):
    """The options of `@tool` that say what results may vouch for."""

    untrusted: bool
    clean: Sequence[str]
    names: Sequence[str]
    labels: Mapping[str, bool | Sequence[str]]


class ToolTable(Contract):
    """The keys that the table of every ready-made tool has.

    Attributes:
        groups: action groups that rules may name, beside those that the tool has.
    """

    groups: list[str] = Field(default_factory=list[str])


class ResultTable(ToolTable):
    """The keys that every table of a tool with results from outside has.

    Attributes:
        trusted: results do not taint the run: nobody else can write what is read.
        clean: fields of untrusted results that outsiders cannot write, beside those that the tool knows.
        names: fields by which people name one record of the results.
        labels: labels of results beside `untrusted`, as in `@tool`.
    """

    trusted: bool = False
    clean: list[str] = Field(default_factory=list[str])
    names: list[str] = Field(default_factory=list[str])
    labels: Labels = Field(default_factory=dict[str, bool | list[str]])

    def marks(self, *known: str) -> ResultMarks:
        """Returns what the results may vouch for.

        Args:
            known: fields of the tool's results that no outsider can write.
        """
        clean = [] if self.trusted else list(dict.fromkeys([*known, *self.clean]))
        return {"untrusted": not self.trusted, "clean": clean, "names": self.names, "labels": self.labels}


class FilesTable(ResultTable):
    """The table `[std.files]`, of `std:read_file`, `std:write_file` and `std:list_files`.

    Attributes:
        root: the folder of all workspaces; a relative one counts from the worker's working directory. Where several
            workers serve the agent, it must be the same folder for all of them.
        shared: all runs work in `root` itself; else each has `root/TENANT/RUN`.
        read_bytes: the most bytes that one `read_file` returns; more is cut, with a note.
        write_bytes: the most bytes of one file that `write_file` writes.
        total_bytes: the most bytes of all files of a workspace; 100 MB.
        files: the most files and folders of a workspace.
        listed: the most entries that one `list_files` returns.
    """

    root: Annotated[str, Field(min_length=1, max_length=4_000)]
    shared: bool = False
    read_bytes: Count = 30_000
    write_bytes: Count = 1_000_000
    total_bytes: Count = 100_000_000
    files: Count = 2_000
    listed: Count = 500


_HOST = re.compile(r"(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?", re.ASCII)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", re.ASCII)


def _host(name: str) -> str:
    if name != "*" and not _HOST.fullmatch(name) and not _is_address(name):
        raise ValueError("expected a host in small letters, without port and scheme, `*.example.com`, or `*`")
    return name


def _is_address(text: str) -> bool:
    try:
        return str(ipaddress.ip_address(text)) == text
    except ValueError:
        return False


def network_of(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Reads a network such as `203.0.113.0/24`.

    Raises:
        ValueError: the text is none.
    """
    return ipaddress.ip_network(text)


def _network(text: str) -> str:
    try:
        network_of(text)
    except ValueError:
        raise ValueError("expected a network such as `203.0.113.0/24`") from None
    return text


def endpoint_of(text: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    """Reads an address with its port: `10.0.0.7:8443`, or `[fd00::7]:8443`.

    Raises:
        ValueError: the text is none.
    """
    address, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ValueError("expected an address with its port, such as `10.0.0.7:8443`")
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    return ipaddress.ip_address(bare), int(port)


def _endpoint(text: str) -> str:
    try:
        address, _ = endpoint_of(text)
    except ValueError:
        raise ValueError("expected an address with its port, such as `10.0.0.7:8443`") from None
    if is_metadata(address):
        raise ValueError("is of the network link, or of a service that hands out credentials: it is never reached")
    return text


def _header(name: str) -> str:
    if not _HEADER.fullmatch(name) or name.lower() in KEPT_HEADERS:
        raise ValueError("expected the name of a header that is not the connection's own")
    return name


KEPT_HEADERS = frozenset(
    {
        *("host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade"),
        *("expect", "accept-encoding", "idempotency-key", "proxy-authorization", "proxy-connection"),
        *("forwarded", "via", "x-real-ip", "metadata-flavor", "metadata", "x-aws-ec2-metadata-token"),
    }
)
"""Headers that are the connection's own, or that make servers believe something of it; nobody sets them here."""

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
Port = Annotated[int, Field(ge=1, le=65_535, strict=True)]
Host = Annotated[str, Field(min_length=1, max_length=253), AfterValidator(_host)]
Header = Annotated[str, AfterValidator(_header)]
HeaderValue = Annotated[str, Field(max_length=4_000, pattern=r"^[\x20-\x7e]*$")]


class HostTable(Contract):
    """A host with settings of its own; its name alone may stand in place of the table: `hosts = ["a.example"]`.

    Attributes:
        name: the host, `*.example.com` for all hosts below one, or `*` for every public host.
        methods: the methods that it takes; default: those of the whole table.
        ports: the ports; default: those of the whole table.
        headers: headers that are sent to this host only; a value may end with `secret:NAME`, as `Bearer secret:TOKEN`.
        idempotent: the host honours `Idempotency-Key`: POST and PATCH are `write` there, and may be tried again.
    """

    name: Host
    methods: list[Method] | None = None
    ports: list[Port] | None = None
    headers: dict[Header, HeaderValue] = Field(default_factory=dict[str, str])
    idempotent: bool = False


class HttpTable(ResultTable):
    """The table `[std.http_request]`.

    Attributes:
        hosts: the hosts that may be asked: names, `*.example.com`, or tables with settings of their own.
        methods: the methods; the strictest of them is the tool's effect: GET and HEAD only read.
        ports: the ports.
        deny: networks that are never reached although they are public, such as your own.
        endpoints: addresses with ports that are reached although they are not public: `10.0.0.7:8443`.
        redirects: the most redirects that a GET or HEAD follows; each is judged anew.
        body_bytes: the most bytes of a body that the model reads; more is cut.
        seconds: the time for a whole request.
    """

    hosts: Annotated[list[Host | HostTable], Field(min_length=1)]
    methods: Annotated[list[Method], Field(min_length=1)] = Field(default_factory=lambda: ["GET", "HEAD"])
    ports: list[Port] = Field(default_factory=lambda: [80, 443])
    deny: list[Annotated[str, AfterValidator(_network)]] = Field(default_factory=list[str])
    endpoints: list[Annotated[str, AfterValidator(_endpoint)]] = Field(default_factory=list[str])
    redirects: Annotated[int, Field(ge=0, le=10, strict=True)] = 3
    body_bytes: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] = 20_000
    seconds: Annotated[int, Field(ge=1, le=300, strict=True)] = 20


_SECRET = re.compile(r"secret:(?P<name>[A-Za-z_][A-Za-z0-9_]*)", re.ASCII)


def secret_named(text: str) -> str | None:
    """Returns the name of the secret that a setting refers to as `secret:NAME`; None for any other text."""
    match = _SECRET.fullmatch(text)
    return match["name"] if match else None


def _no_password(text: str) -> str:
    if secret_named(text) is None and re.search(r"//[^/@]*:[^/@]*@", text):
        raise ValueError("holds a password: write `secret:NAME`, and give the address to the worker as a secret")
    return text


class SqlTable(ResultTable):
    """The table `[std.sql_query]`; the database's own user has to be one that may only read.

    Attributes:
        url: `sqlite:///data/shop.db`, `postgresql://reader@host/shop`, or `secret:NAME` for an address with a password.
        dialect: of the database, where `url` is a secret; default: `postgres`.
        tables: the tables and views that may be read, with their schema where a query names it; default: all.
        functions: functions that may be called beside those that only compute.
        rows: the most rows of a result.
        result_bytes: the most bytes of a result.
        seconds: the time for a query.
    """

    url: Annotated[str, Field(min_length=1, max_length=2_000), AfterValidator(_no_password)]
    dialect: Literal["sqlite", "postgres"] | None = None
    tables: list[str] | None = None
    functions: list[str] = Field(default_factory=list[str])
    rows: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 200
    result_bytes: Annotated[int, Field(ge=100, le=1_000_000, strict=True)] = 24_000
    seconds: Annotated[int, Field(ge=1, le=300, strict=True)] = 10


class MailTable(ToolTable):
    """The table `[std.send_email]`.

    Attributes:
        smtp: the mail server: `smtp://mail.example.com`, `smtps://...`, or `secret:NAME` for one with a login.
        sender: the bare address that all messages are from; default: the login's name, where it is one.
        encrypted: refuses a server that does not encrypt, unless it is on this machine; false for a relay within your
            own network.
        recipients: the most recipients of a message.
        body_bytes: the most bytes of a body.
        seconds: the time for each step with the server.
    """

    smtp: Annotated[str, Field(min_length=1, max_length=2_000), AfterValidator(_no_password)]
    sender: Annotated[str, Field(max_length=254)] | None = Field(default=None, alias="from")
    encrypted: bool = True
    recipients: Annotated[int, Field(ge=1, le=100, strict=True)] = 10
    body_bytes: Annotated[int, Field(ge=1, le=10_000_000, strict=True)] = 100_000
    seconds: Annotated[int, Field(ge=1, le=60, strict=True)] = 20


class PeopleTable(ToolTable):
    """The table `[std.ask_human]`.

    Attributes:
        group: the group that answers: one of `[approval] groups` or of the organisation.
        trusted: answers do not taint the run: the group is trusted as who asked is.
    """

    group: Annotated[str, Field(min_length=1, max_length=80)]
    trusted: bool = False


class ReadyTable(Contract):
    """The tables of the ready-made tools.

    Attributes:
        http_request: of `std:http_request`.
        sql_query: of `std:sql_query`.
        send_email: of `std:send_email`.
        ask_human: of `std:ask_human`.
        files: of `std:read_file`, `std:write_file` and `std:list_files`.
    """

    http_request: HttpTable | None = None
    sql_query: SqlTable | None = None
    send_email: MailTable | None = None
    ask_human: PeopleTable | None = None
    files: FilesTable | None = None
