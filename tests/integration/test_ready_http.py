"""`http_request` against real servers on this machine, with names that lead wherever a test says."""

import asyncio
import contextlib
import gzip
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from backstay.errors import OutcomeUnknownError, ToolError
from backstay.tools import NOT_HAPPENED, UNKNOWN, ToolCall
from backstay.tools.declare import options_of
from backstay.tools.ready.http import Response, http_request
from backstay.tools.ready.settings import HttpTable

from .certificates import Authority

CALL = ToolCall("run-1", 1, "c1", "key-1", "clerk", "acme", read_secret=lambda name: f"value-of-{name}")
LOOPBACK, PUBLIC, PRIVATE, METADATA = "127.0.0.1", "93.184.216.34", "10.0.0.7", "169.254.169.254"
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """A server that answers each path as a test says, and remembers what reached it."""

    answers: dict[str, bytes | Answer]
    requests: list[str] = field(default_factory=list[str])
    connections: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = next((int(line[16:]) for line in head.lower().split("\r\n") if line[:15] == "content-length:"), 0)
            self.requests.append(head + (await reader.readexactly(length)).decode())
            answer = self.answers.get(head.split(" ")[1], ok(b"hello"))
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(writer)
        writer.close()


def ok(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def to(place: str, status: int = 302) -> bytes:
    return ok(b"", f"Location: {place}", status=f"{status} Found")


@dataclass
class Names:
    """The addresses of names, one answer after the other; the last one stays."""

    known: dict[str, list[list[str]]]
    asked: list[str] = field(default_factory=list[str])

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self.known.get(host)
        if answers is None:
            raise OSError("no such host")
        return answers.pop(0) if len(answers) > 1 else answers[0]


def names(**known: Any) -> Names:
    return Names(
        {f"{name}.test": [[one] if isinstance(one, str) else list(one) for one in known[name]] for name in known}
    )


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server({})
    listening = await asyncio.start_server(made.serve, LOOPBACK, 0, limit=2**20)
    made.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield made


class Clerk:
    """An agent's tool with a server that it may reach, by the names of a test."""

    def __init__(self, server: Server, known: Names, reached: bool = True, **keys: Any) -> None:
        endpoints = {"endpoints": [f"{LOOPBACK}:{server.port}"]} if reached else {}
        hosts = {"hosts": ["allowed.test"], "ports": [server.port]}
        self.table = HttpTable.model_validate({**hosts, **endpoints, **keys})
        self.port = server.port
        self.tool = http_request(self.table, known)

    async def ask(self, url: str = "http://allowed.test/", **arguments: Any) -> Response:
        scheme, _, rest = url.partition("//")
        host, slash, path = rest.partition("/")
        return await self.tool(CALL, f"{scheme}//{host}:{self.port}{slash}{path}", **arguments)


HERE = names(allowed=[LOOPBACK])


async def test_an_answer_has_status_headers_and_body_and_one_connection(server: Server) -> None:
    server.answers["/a?b=c"] = ok("grüße".encode(), "Content-Type: text/plain; charset=utf-8", "ETag: x", "X-Odd: y")
    found = await Clerk(server, HERE).ask("http://allowed.test/a?b=c#part")
    assert (found.status, found.body, found.cut) == (200, "grüße", False)
    assert found.headers == {"content-type": "text/plain; charset=utf-8", "etag": "x"}
    assert found.url == f"http://allowed.test:{server.port}/a?b=c"
    assert server.connections == 1
    assert f"Host: allowed.test:{server.port}" in server.requests[0]


async def test_a_status_that_is_no_success_is_an_answer_too(server: Server) -> None:
    server.answers["/"] = ok(b"slow down", "Retry-After: 7", status="429 Too Many Requests")
    found = await Clerk(server, HERE).ask()
    assert (found.status, found.body, found.headers) == (429, "slow down", {"retry-after": "7"})


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "0", "[::1]", "[::ffff:127.0.0.1]", "127.1", "2130706433", "0x7f.1", "0x7f000001"),
        *("0177.0.0.1", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "169.254.169.254", "[fd00:ec2::254]", "168.63.129.16"),
        *("100.100.100.200", "224.0.0.1", "[ff02::1]", "127\u30020\u30020\u30021", "\uff11\uff12\uff17.0.0.1"),
        *("\u2460\u2461\u2466.0.0.1", "[fe80::1%25lo]", "[::1%lo]", "0.0.0.0", "localhost.", "LOCALHOST"),
    ],
)
async def test_no_spelling_of_a_local_address_is_connected_to(server: Server, host: str) -> None:
    table = HttpTable.model_validate({"hosts": ["*"], "ports": [server.port]})
    tool = http_request(table)
    with pytest.raises(ToolError, match=r"^(address|url|host)_refused: "):
        await tool(CALL, f"http://{host}:{server.port}/")
    assert server.connections == 0


@pytest.mark.parametrize("addresses", [(PRIVATE,), (METADATA,), (LOOPBACK,), (PUBLIC, PRIVATE), (PUBLIC, "::1")])
async def test_an_allowed_name_with_any_private_address_is_not_connected_to(server: Server, addresses: Any) -> None:
    with pytest.raises(ToolError, match=r"^address_refused: "):
        await Clerk(server, names(allowed=[addresses]), reached=False).ask()
    assert server.connections == 0


async def test_a_name_that_changes_its_address_is_judged_for_each_connection(server: Server) -> None:
    known = names(allowed=[LOOPBACK, PRIVATE])
    clerk = Clerk(server, known)
    assert (await clerk.ask()).status == 200
    with pytest.raises(ToolError, match=r"^address_refused: "):
        await clerk.ask()
    assert (known.asked, server.connections) == (["allowed.test"] * 2, 1)


async def test_a_name_is_resolved_once_for_a_connection_so_that_nothing_changes_between_check_and_use(
    server: Server,
) -> None:
    known = names(allowed=[LOOPBACK, METADATA])
    assert (await Clerk(server, known).ask()).status == 200
    assert known.asked == ["allowed.test"]


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("http://127.0.0.1/", "host_refused"),
        ("http://169.254.169.254/latest/meta-data/", "host_refused"),
        ("http://[::1]/", "host_refused"),
        ("file:///etc/passwd", "url_refused"),
        ("//evil.test/", "host_refused"),
        ("http://evil.test/", "host_refused"),
        ("http://user@allowed.test/", "url_refused"),
        ("http://allowed.test:22/", "port_refused"),
        ("http://inner.test:PORT/", "address_refused"),
        ("gopher://allowed.test/", "url_refused"),
        ("/again", "redirect_refused"),
    ],
)
async def test_every_redirect_is_judged_like_a_request(server: Server, place: str, code: str) -> None:
    server.answers["/"] = server.answers["/again"] = to(place.replace("PORT", str(server.port)))
    known = names(allowed=[LOOPBACK], inner=[METADATA], evil=[LOOPBACK])
    with pytest.raises(ToolError, match=rf"^{code}: "):
        await Clerk(server, known, hosts=["allowed.test", "inner.test"]).ask()
    assert server.connections == (4 if place == "/again" else 1)


async def test_a_redirect_is_followed_and_what_proves_somebody_stays_behind(server: Server) -> None:
    server.answers["/"] = to(f"http://other.test:{server.port}/there")
    hosts = [{"name": "allowed.test", "headers": {"X-Token": "Bearer secret:TOKEN"}}, "other.test"]
    clerk = Clerk(server, names(allowed=[LOOPBACK], other=[LOOPBACK]), hosts=hosts)
    found = await clerk.ask(headers={"Authorization": "mine", "Cookie": "mine", "X-Plain": "yes"})
    assert found.url == f"http://other.test:{server.port}/there"
    first, second = (request.lower() for request in server.requests)
    assert "x-token: bearer value-of-token" in first
    assert "authorization: mine" in first
    assert "cookie: mine" in first
    assert "x-plain: yes" in second
    assert all(name not in second for name in ("x-token", "authorization", "cookie"))


async def test_a_write_is_never_redirected_and_carries_its_key(server: Server) -> None:
    server.answers["/"] = to("/elsewhere", 307)
    found = await Clerk(server, HERE, methods=["POST"]).ask(method="post", body="grüße")
    assert (found.status, found.headers, len(server.requests)) == (307, {"location": "/elsewhere"}, 1)
    assert "idempotency-key: key-1" in server.requests[0].lower()
    assert server.requests[0].endswith("grüße")
    await Clerk(server, HERE).ask("http://allowed.test/read")
    assert "idempotency-key" not in server.requests[1].lower()


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "b"},
        {"idempotency-key": "b"},
        {"X-A": "b\r\nX-B: c"},
        {"X A": "b"},
        {"": "b"},
        {"Metadata-Flavor": "G"},
        {"Transfer-Encoding": "chunked"},
        {"Accept-Encoding": "br"},
        {"X-A": "ü"},
        {f"X-{n}": "a" for n in range(41)},
    ],
)
async def test_a_header_that_is_the_connections_own_is_refused(server: Server, headers: dict[str, str]) -> None:
    with pytest.raises(ToolError, match=r"^header_refused: "):
        await Clerk(server, HERE).ask(headers=headers)
    assert server.connections == 0


async def test_no_proxy_of_the_environment_is_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    assert (await Clerk(server, HERE).ask()).status == 200


# Bodies without an end


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()


async def slow(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1_000):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.2)


async def silent(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def broken(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
    await writer.drain()


def bomb(megabytes: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(bytes(10**6)) for _ in range(megabytes)) + packer.flush()


async def test_a_body_is_cut_at_the_limit_however_it_is_packed(server: Server) -> None:
    server.answers["/long"] = ok(b"x" * 5_000)
    server.answers["/packed"] = ok(gzip.compress(b"x" * 5_000), "Content-Encoding: gzip")
    server.answers["/deflated"] = ok(zlib.compress(b"x" * 5_000), "Content-Encoding: deflate")
    server.answers["/endless"] = endless
    clerk = Clerk(server, HERE, body_bytes=1_000)
    for path in ("long", "packed", "deflated", "endless"):
        found = await clerk.ask(f"http://allowed.test/{path}")
        assert (len(found.body), found.cut) == (998, True), path  # two bytes of JSON are the quotes
    server.answers["/fits"] = ok(gzip.compress(b"x" * 900), "Content-Encoding: GZIP")
    found = await clerk.ask("http://allowed.test/fits")
    assert (len(found.body), found.cut) == (900, False)


async def test_a_bomb_is_not_unpacked(server: Server) -> None:
    server.answers["/"] = ok(bomb(200), "Content-Encoding: gzip", "Content-Type: text/plain")
    found = await Clerk(server, HERE).ask()
    assert found.cut
    assert len(found.body) < 100


@pytest.mark.parametrize("packed", ["gzip, gzip", "br", "zstd", "gzip\r\nContent-Encoding: gzip"])
async def test_a_body_that_is_packed_otherwise_is_refused(server: Server, packed: str) -> None:
    server.answers["/"] = ok(gzip.compress(gzip.compress(b"x")), f"Content-Encoding: {packed}")
    with pytest.raises(ToolError, match=r"^encoding_refused: "):
        await Clerk(server, HERE).ask()


async def test_a_body_that_is_not_packed_as_it_says_is_refused(server: Server) -> None:
    server.answers["/"] = ok(b"plain", "Content-Encoding: gzip")
    with pytest.raises(ToolError, match=r"^encoding_refused: "):
        await Clerk(server, HERE).ask()


async def test_too_many_headers_and_too_long_ones_are_no_answer(server: Server) -> None:
    server.answers["/many"] = ok(b"", *(f"X-{number}: y" for number in range(5_000)))
    server.answers["/long"] = ok(b"", f"X-Long: {'y' * 100_000}")
    for path in ("many", "long"):
        with pytest.raises(ToolError, match=r"^no_answer: "):
            await Clerk(server, HERE).ask(f"http://allowed.test/{path}")


@pytest.mark.parametrize("answer", [slow, silent])
async def test_the_time_of_a_whole_request_is_limited(server: Server, answer: Answer) -> None:
    server.answers["/"] = answer
    began = time.monotonic()
    with pytest.raises(ToolError, match=r"^no_answer: no whole answer within 1 seconds"):
        await Clerk(server, HERE, seconds=1).ask()
    assert time.monotonic() - began < 10


async def test_what_is_no_text_is_told_by_size_and_digest(server: Server) -> None:
    server.answers["/"] = ok(b"\x89PNG\r\n\xff", "Content-Type: image/png")
    assert (await Clerk(server, HERE).ask()).body.startswith("[no text: 7 bytes, sha256 ")


# What became of a request without an answer


@pytest.mark.parametrize("answer", [silent, broken, ok(b"", status="502 Bad"), ok(b"", status="504 Gateway")])
async def test_nobody_knows_what_became_of_a_write_without_an_answer(server: Server, answer: Any) -> None:
    server.answers["/"] = answer
    clerk = Clerk(server, HERE, methods=["POST", "GET"], seconds=1)
    with pytest.raises(OutcomeUnknownError):
        await clerk.ask(method="POST", body="x")


@pytest.mark.parametrize(
    ("hosts", "method"),
    [([{"name": "allowed.test", "idempotent": True}], "POST"), (["allowed.test"], "PUT"), (["allowed.test"], "DELETE")],
)
async def test_a_write_that_may_be_repeated_is_made_again_under_its_key(
    server: Server, hosts: list[Any], method: str
) -> None:
    async def lost_twice(writer: asyncio.StreamWriter) -> None:
        if len(server.requests) > 2:
            writer.write(ok(b"done"))
            await writer.drain()

    server.answers["/"] = lost_twice
    found = await Clerk(server, HERE, hosts=hosts, methods=[method]).ask(method=method, body="x")
    assert (found.body, len(server.requests)) == ("done", 3)
    assert all("idempotency-key: key-1" in request.lower() for request in server.requests)


@pytest.mark.parametrize(
    ("known", "code"), [(PRIVATE, "address_refused"), (None, "unreached"), (LOOPBACK, "unreached")]
)
async def test_a_write_that_was_never_sent_is_a_failure_and_no_unknown_outcome(known: str | None, code: str) -> None:
    closed = Server({}, port=1)
    clerk = Clerk(closed, names(allowed=[known]) if known else names(), methods=["POST"])
    with pytest.raises(ToolError, match=rf"^{code}: "):
        await clerk.ask(method="POST")


async def test_a_lost_request_that_only_reads_is_made_again_and_of_others_people_are_asked() -> None:
    options = options_of(http_request(HttpTable.model_validate({"hosts": ["a.test"], "methods": ["GET", "POST"]})))
    assert options is not None
    assert options.reconcile is not None
    assert options.effect == "once"
    assert options.reconcile(CALL, url="http://a.test/") is NOT_HAPPENED
    assert options.reconcile(CALL, url="http://a.test/", method="POST") is UNKNOWN
    reads = options_of(http_request(HttpTable.model_validate({"hosts": ["a.test"]})))
    assert reads is not None
    assert (reads.effect, reads.reconcile, reads.groups) == ("read", None, ())


# Certificates


async def test_certificates_are_checked_for_the_name_and_not_for_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, made = Authority(tmp_path), Server({})
    listening = await asyncio.start_server(made.serve, LOOPBACK, 0, ssl=authority.server("allowed.test"))
    made.port = listening.sockets[0].getsockname()[1]
    async with listening:
        known = names(allowed=[LOOPBACK], other=[LOOPBACK])
        with pytest.raises(ToolError, match=r"^unreached: the host has no certificate"):
            await Clerk(made, known).ask("https://allowed.test/")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        clerk = Clerk(made, known, hosts=["*"])
        assert (await clerk.ask("https://allowed.test/")).status == 200
        with pytest.raises(ToolError, match=r"^unreached: the host has no certificate"):
            await clerk.ask("https://other.test/")


def test_rules_read_host_port_path_method_and_whether_there_is_a_body() -> None:
    options = options_of(http_request(HttpTable.model_validate({"hosts": ["*"]})))
    assert options is not None

    def facts(**given: Any) -> dict[str, Any]:
        return {
            name: function(**{key: given.get(key) for key in function.__code__.co_varnames[:1]})
            for name, (_, function) in options.facts.items()
        }

    assert facts(url="HTTPS://A.test/x%20y?z", method="post", body="b") == {
        "scheme": "https",
        "host": "a.test",
        "port": 443,
        "url_path": "/x y",
        "method": "POST",
        "has_body": True,
    }
    unclear = {"scheme": "", "host": "", "port": 0, "url_path": "", "method": "GET", "has_body": False}
    assert facts(url="http://a.test@b.test/") == unclear
