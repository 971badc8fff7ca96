"""Encrypts and decrypts payloads over HTTP (POST /encode, /decode) for Temporal's web interface and command line.

Anybody who may use it can read every payload. So it answers requests to this machine's own names only, or requests
with the token where it listens elsewhere, and web pages only from the allowed origins.
"""

import contextlib
import hmac
import ipaddress
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from aiohttp import web
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import PayloadCodec

from backstay.errors import CodecError, ConfigurationError

TOKEN = "BACKSTAY_CODEC_TOKEN"
MAX_BYTES = 64_000_000
_HEADERS = "Authorization, Authorization-Extras, Content-Type, X-Namespace"
_ASKED_PRIVATE = "Access-Control-Request-Private-Network"
_CODEC = web.AppKey("codec", PayloadCodec)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Access:
    """The rules for who may use the server.

    Attributes:
        host: the address to listen on; without a `token` it must be local to this machine.
        origins: the web pages that may ask, as browsers write origins: `http://localhost:8233`.
        token: the token that every request must send as `Authorization: Bearer`; None asks for none.
    """

    host: str
    origins: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)

    @classmethod
    def checked(cls, host: str, origins: Sequence[str], token: str | None) -> "Access":
        """Checks the rules and returns them.

        Raises:
            ConfigurationError: other machines can reach the address and there is no token, or an origin is malformed.
        """
        if not is_loopback(host) and not token:
            what = f"`{host}` can be reached from other machines, and there is no token"
            raise ConfigurationError(what, mend=f"set `{TOKEN}`, or listen on 127.0.0.1")
        return cls(host, tuple(_origin(origin) for origin in origins), token or None)

    def refusal(self, request: web.Request) -> web.Response | None:
        """Returns the response that refuses a request, or None where it is allowed."""
        origin = request.headers.get("Origin")
        if origin is not None and origin not in self.origins:
            return web.Response(status=403, text="pages of this origin are not allowed; see --origin")
        # A foreign name that resolves to this machine would give its pages our origin (DNS rebinding).
        if is_loopback(self.host) and not is_loopback(_hostname(request.host)):
            return web.Response(status=403, text="use a name of this machine, such as localhost")
        if request.method == "OPTIONS" or self.token is None:
            return None
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(_bytes(given.strip()), _bytes(self.token)):
            return None
        return web.Response(status=401, text="the token is missing or wrong", headers={"WWW-Authenticate": "Bearer"})

    def cors(self, request: web.Request) -> dict[str, str]:
        """Returns the headers that let a page of an allowed origin read the response."""
        origin = request.headers.get("Origin")
        if origin not in self.origins:
            return {"Vary": "Origin"}
        allowed = {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": "POST, OPTIONS",
            "Access-Control-Allow-Headers": _HEADERS,
            "Vary": "Origin",
        }
        return allowed | ({"Access-Control-Allow-Private-Network": "true"} if _ASKED_PRIVATE in request.headers else {})


@contextlib.asynccontextmanager
async def codec_server(codec: PayloadCodec, access: Access, port: int) -> AsyncGenerator[str]:
    """Serves until the context ends.

    Args:
        codec: encrypts and decrypts.
        access: decides who may use the server, and the address to listen on.
        port: the port to listen on; 0 takes a free one.

    Yields:
        The server's URL.

    Raises:
        ConfigurationError: it cannot listen on that address and port.
    """
    runner = web.AppRunner(codec_app(codec, access), access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, access.host, port).start()
        except OSError as error:
            what = f"cannot listen on {access.host} port {port}: {(error.strerror or str(error)).lower()}"
            raise ConfigurationError(what, mend="choose another with --host and --port") from None
        host = f"[{access.host}]" if ":" in access.host else access.host
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def codec_app(codec: PayloadCodec, access: Access) -> web.Application:
    """Builds the web application behind `codec_server`."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = access.refusal(request)
        if response is not None:
            answer: web.StreamResponse = response
        else:
            try:
                answer = await handler(request)
            except web.HTTPException as error:
                answer = web.Response(status=error.status, text=error.text)
        answer.headers.update({**access.cors(request), "Cache-Control": "no-store"})
        return answer

    app = web.Application(middlewares=[guard], client_max_size=MAX_BYTES)
    app[_CODEC] = codec
    app.add_routes([web.post("/encode", _encode), web.post("/decode", _decode)])
    app.add_routes([web.options(path, _preflight) for path in ("/encode", "/decode")])
    return app


def is_loopback(host: str) -> bool:
    """Tells whether an address or name always leads to this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _encode(request: web.Request) -> web.Response:
    return await _converted(request, request.app[_CODEC].encode)


async def _decode(request: web.Request) -> web.Response:
    return await _converted(request, request.app[_CODEC].decode)


async def _preflight(request: web.Request) -> web.Response:
    return web.Response(status=204)


async def _converted(
    request: web.Request, convert: Callable[[Sequence[Payload]], Awaitable[list[Payload]]]
) -> web.Response:
    try:
        given = Parse(await request.read(), Payloads())
        converted = Payloads(payloads=await convert(given.payloads))
    except (ParseError, UnicodeDecodeError):
        return web.Response(status=400, text="the body must be Payloads as JSON")
    except CodecError as error:
        return web.Response(status=422, text=str(error))
    except ConnectionError:  # a page that was closed in the middle of its request: nobody reads the answer
        return web.Response(status=400)
    return web.Response(text=MessageToJson(converted), content_type="application/json")


def _origin(text: str) -> str:
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        bare = parts.path in ("", "/") and not parts.query and not parts.fragment
    except ValueError:
        valid = bare = False
        parts = urlsplit("")
    if not (valid and bare):
        mend = "write scheme, host and port, as `http://localhost:8233`"
        raise ConfigurationError(f"`{text}` is not an origin", where="`--origin`", mend=mend)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
