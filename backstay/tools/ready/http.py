"""Makes `http_request`: it asks allowed hosts only, over addresses that were judged, and within limits."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

import aiohttp
from yarl import URL

from backstay.contracts.admission import Effect
from backstay.errors import OutcomeUnknownError, ToolError

from ..call import NOT_HAPPENED, UNKNOWN, ToolCall, Unsettled
from ..declare import tool
from .guard import CheckedResolver, Guard, LookUp, look_up
from .http_body import body_text, fitting, no_text, read_body
from .http_hosts import Allowed, Target, allowed_of, effect_of, host_in, secret_in, secrets_of, target_of
from .public_addresses import Network
from .refusal import Reason, refusal
from .settings import KEPT_HEADERS, HttpTable, endpoint_of, network_of

READS: Final = ("GET", "HEAD")
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_PAUSES: Final = (0.25, 1.0)
_GAVE_UP: Final = (408, 502, 504)
_SHOWN: Final = (
    "content-type",
    "location",
    "etag",
    "last-modified",
    "retry-after",
    "link",
    "allow",
    "www-authenticate",
)
_MOST_HEADERS: Final = 40
_LONGEST_HEADER: Final = 2_000
_PRIVATE: Final = ("authorization", "cookie")


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: its URL after redirects, status, main headers, and the body as text.

    `cut` says that the body goes on.
    """

    url: str
    status: int
    headers: dict[str, str]
    body: str
    cut: bool = False


@dataclass(frozen=True, slots=True)
class _Request:
    """A request of the model: its method, headers in small letters, body, and the call it is made for."""

    call: ToolCall
    method: str
    headers: Mapping[str, str]
    body: bytes | None


@dataclass(slots=True)
class Requests:
    """Makes requests within the limits of a table.

    Attributes:
        table: the settings.
        look_up: resolves hosts; a test has its own.
    """

    table: HttpTable
    look_up: LookUp = look_up
    allowed: Mapping[str, Allowed] = field(init=False)
    _deny: tuple[Network, ...] = field(init=False)
    _trusted: ssl.SSLContext | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.allowed = allowed_of(self.table)
        self._deny = tuple(map(network_of, self.table.deny))

    async def response(
        self, call: ToolCall, url: str, method: str, headers: Mapping[str, str], body: str | None
    ) -> Response:
        """Makes a request, follows its redirects, and returns the last answer.

        Raises:
            ToolError: the request was refused, or had no answer and no effect.
            OutcomeUnknownError: it was sent, and nobody knows what became of it.
        """
        method, target = method.upper(), target_of(url)
        request = _Request(call, method, _checked(headers), None if body is None else body.encode("utf-8", "replace"))
        try:
            async with asyncio.timeout(self.table.seconds):
                return await self._insisted(request, target)
        except TimeoutError:
            # Reading slowly is no way round: the time is that of the whole request.
            raise _no_end(method, f"no whole answer within {self.table.seconds} seconds") from None

    async def _insisted(self, request: _Request, target: Target) -> Response:
        """Makes a request again that may be made twice, under the same key, where its answer was lost."""
        for pause in _PAUSES if self._may_repeat(request, target) else ():
            try:
                return await self._followed(request, target)
            except OutcomeUnknownError:
                await asyncio.sleep(pause)
        return await self._followed(request, target)

    def _may_repeat(self, request: _Request, target: Target) -> bool:
        return host_in(self.allowed, target, request.method).effect(request.method) == "write"

    async def _followed(self, request: _Request, target: Target) -> Response:
        first = target.origin
        for _ in range(self.table.redirects + 1):
            found = await self._asked(request, target, own=target.origin == first)
            if isinstance(found, Response):
                return found
            target = found
        raise refusal(Reason.REDIRECT_REFUSED, f"more than {self.table.redirects} redirects")

    async def _asked(self, request: _Request, target: Target, *, own: bool) -> Response | Target:
        """Asks one host once; returns the answer, or where it leads on to."""
        allowed = host_in(self.allowed, target, request.method)
        guard = Guard(self._deny, {endpoint_of(one) for one in self.table.endpoints}, self.look_up)
        connector = aiohttp.TCPConnector(
            resolver=CheckedResolver(guard),
            socket_factory=guard.connect,
            use_dns_cache=False,
            force_close=True,
            happy_eyeballs_delay=None,
            ssl=self._tls(),
        )
        headers = {**_sent(request, own=own), **_of_host(request.call, allowed)}
        # INVARIANT: no proxy and nothing else of the environment: a proxy resolves for itself, past every check.
        async with aiohttp.ClientSession(
            connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        ) as session:
            try:
                async with session.request(
                    request.method, target.url, data=request.body, headers=headers, allow_redirects=False
                ) as response:
                    return await self._answer(request, response)
            except aiohttp.InvalidURL:
                raise refusal(Reason.URL_REFUSED, "the host is neither a name nor an address as usual") from None
            except aiohttp.ClientConnectorError as error:
                raise _unreached(guard, error) from None
            except aiohttp.ClientError as error:
                if guard.refused:
                    raise _unreached(guard, error) from None
                raise _no_end(request.method, f"the connection broke: {type(error).__name__}") from None

    async def _answer(self, request: _Request, response: aiohttp.ClientResponse) -> Response | Target:
        location = response.headers.get("Location")
        follows = request.method in READS and response.status in _REDIRECTS and self.table.redirects > 0
        if follows and location is not None:
            return _led_on(response.url, location)
        data, cut = await read_body(response, self.table.body_bytes)
        if request.method not in READS and response.status in _GAVE_UP:
            raise OutcomeUnknownError(f"status {response.status}: who answered does not know what became of it")
        text = body_text(data, cut, response.charset)
        shown = no_text(data, cut) if text is None else fitting(text, self.table.body_bytes)
        headers = {name: response.headers[name][:_LONGEST_HEADER] for name in _SHOWN if name in response.headers}
        cut = cut or (text is not None and len(shown) < len(text))
        return Response(str(response.url), response.status, headers, shown, cut)

    def _tls(self) -> ssl.SSLContext:
        # `SSL_CERT_FILE` counts, for companies that look into what leaves.
        if self._trusted is None:
            self._trusted = ssl.create_default_context()
        return self._trusted


def http_request(table: HttpTable, look_up: LookUp = look_up) -> Callable[..., Any]:
    """Makes the tool `http_request`."""
    requests = Requests(table, look_up)
    effect = cast("Effect", effect_of(requests.allowed))
    marks = table.marks("status", "cut")

    def reconcile(call: ToolCall, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Unsettled:
        # A request that only reads is just made again; of others nobody here can tell.
        return NOT_HAPPENED if method.upper() in READS else UNKNOWN

    @tool(
        effect=effect,
        timeout=f"{table.seconds + 10}s",
        groups=table.groups,
        secrets=secrets_of(requests.allowed),
        names_result="url",
        texts=["body"],
        reconcile=reconcile if effect == "once" else None,
        facts=_FACTS,
        **marks,
    )
    async def http_request(
        call: ToolCall, url: str, method: str = "GET", headers: dict[str, str] | None = None, body: str | None = None
    ) -> Response:
        """Asks an allowed host over HTTP and returns status, main headers and body."""
        return await requests.response(call, url, method, headers or {}, body)

    return http_request


@dataclass(frozen=True, slots=True)
class _Seen:
    """The parts of a URL that rules read; empty for one that is unclear."""

    scheme: str = ""
    host: str = ""
    port: int = 0
    path: str = ""


def _seen(url: str) -> _Seen:
    try:
        target = target_of(url)
    except ToolError:
        return _Seen()
    return _Seen(target.scheme, target.host, target.port, target.url.path)


def _scheme(url: str) -> str:
    return _seen(url).scheme


def _host(url: str) -> str:
    return _seen(url).host


def _port(url: str) -> int:
    return _seen(url).port


def _url_path(url: str) -> str:
    return _seen(url).path


def _method(method: str | None) -> str:
    return "GET" if method is None else method.upper()


def _has_body(body: str | None) -> bool:
    return bool(body)


_FACTS: Final[dict[str, tuple[str, Callable[..., Any]]]] = {
    "scheme": ("String", _scheme),
    "host": ("String", _host),
    "port": ("Long", _port),
    "url_path": ("String", _url_path),
    "method": ("String", _method),
    "has_body": ("Bool", _has_body),
}


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    """Returns the model's headers in small letters.

    Raises:
        ToolError: `header_refused`: a header is the connection's own, or holds what no header can.
    """
    found = {name.lower(): value for name, value in headers.items()}
    if len(found) > _MOST_HEADERS or any(len(value) > _LONGEST_HEADER for value in found.values()):
        what = f"a request has at most {_MOST_HEADERS} headers of {_LONGEST_HEADER} characters"
        raise refusal(Reason.HEADER_REFUSED, what)
    for name, value in found.items():
        plain = value.isascii() and value.isprintable()
        if name in KEPT_HEADERS or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise refusal(Reason.HEADER_REFUSED, f"the header `{name[:80]}` may not be set")
        if not plain:
            raise refusal(Reason.HEADER_REFUSED, f"the value of `{name[:80]}` is not printable ASCII")
    return found


def _sent(request: _Request, *, own: bool) -> dict[str, str]:
    """Returns the headers of a request; what proves somebody goes to the host that was asked for, and to no other."""
    headers = {name: value for name, value in request.headers.items() if own or name not in _PRIVATE}
    headers["accept-encoding"] = "gzip, deflate"
    headers.setdefault("user-agent", "backstay")
    if request.body is not None:
        headers.setdefault("content-type", "text/plain; charset=utf-8")
    if request.method not in READS:
        headers["idempotency-key"] = request.call.idempotency_key
    return headers


def _of_host(call: ToolCall, allowed: Allowed) -> dict[str, str]:
    """Returns the headers that agent.toml has for a host, with their secrets."""
    found: dict[str, str] = {}
    for name, value in allowed.headers.items():
        named = secret_in(value)
        found[name.lower()] = named[0] + call.secret(named[1]) if named else value
    return found


def _led_on(url: URL, location: str) -> Target:
    try:
        onward = str(url.join(URL(location)))
    except ValueError:
        raise refusal(Reason.REDIRECT_REFUSED, "the redirect cannot be read") from None
    return target_of(onward)


def _unreached(guard: Guard, error: Exception) -> ToolError:
    if guard.refused:
        return refusal(Reason.ADDRESS_REFUSED, "the host leads to an address that is not public")
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return refusal(Reason.UNREACHED, "the host has no certificate that holds for its name")
    return refusal(Reason.UNREACHED, "the host cannot be reached")


def _no_end(method: str, what: str) -> ToolError | OutcomeUnknownError:
    """Returns the error of a request without an answer: one that only reads has done nothing."""
    if method in READS:
        return refusal(Reason.NO_ANSWER, what)
    return OutcomeUnknownError(f"{Reason.NO_ANSWER}: {what}")
