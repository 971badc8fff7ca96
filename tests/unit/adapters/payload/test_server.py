"""The codec server: whom it lets in, and what it answers."""

import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from temporalio.api.common.v1 import Payload, Payloads

from backstay.adapters.payload.codec import EncryptingCodec
from backstay.adapters.payload.server import Access, codec_server
from backstay.errors import ConfigurationError

UI = "http://localhost:8233"
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"whale"')
CODEC = EncryptingCodec({"new": os.urandom(32)})

Serving = Callable[..., AbstractAsyncContextManager["Caller"]]


class Caller:
    """Speaks to one server."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self.session = session
        self.address = address

    async def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, str, dict[str, str]]:
        text = body if isinstance(body, str | bytes) else json.dumps(body if body is not None else {"payloads": []})
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(self.address + path, data=text, headers=given) as response:
            return response.status, await response.text(), dict(response.headers)

    async def converted(self, path: str, payload: Payload) -> Payload:
        status, text, _ = await self.post(path, MessageToDict(Payloads(payloads=[payload])))
        assert status == 200, text
        return ParseDict(json.loads(text), Payloads()).payloads[0]


@asynccontextmanager
async def serving(host: str = "127.0.0.1", token: str | None = None) -> AsyncIterator[Caller]:
    """A server and someone who calls it."""
    async with codec_server(CODEC, Access.checked(host, [UI], token), 0) as address:
        address = address.replace("0.0.0.0", "127.0.0.1")
        async with aiohttp.ClientSession() as session:
            yield Caller(session, address)


async def test_what_it_encodes_it_decodes() -> None:
    async with serving() as caller:
        sealed = await caller.converted("/encode", PLAIN)
        assert sealed.metadata["encoding"] == b"binary/encrypted"
        assert await CODEC.decode([sealed]) == [PLAIN]
        assert await caller.converted("/decode", sealed) == PLAIN
        assert await caller.converted("/decode", PLAIN) == PLAIN


async def test_a_key_it_lacks_is_named_in_the_answer() -> None:
    [sealed] = await EncryptingCodec({"old": os.urandom(32)}).encode([PLAIN])
    async with serving() as caller:
        status, text, _ = await caller.post("/decode", MessageToDict(Payloads(payloads=[sealed])))
        assert status == 422
        assert "`old`" in text


@pytest.mark.parametrize("body", ["", "{", '"x"', '{"payloads": 1}', '{"other": []}', b"\xff\xfe"])
async def test_a_body_that_is_none_is_refused(body: str | bytes) -> None:
    async with serving() as caller:
        status, text, _ = await caller.post("/decode", body)
        assert (status, text) == (400, "the body must be Payloads as JSON")


async def test_a_page_of_the_interface_may_ask() -> None:
    async with serving() as caller:
        async with caller.session.options(
            caller.address + "/decode",
            headers={"Origin": UI, "Access-Control-Request-Method": "POST"},
        ) as response:
            assert response.status == 204
            assert response.headers["Access-Control-Allow-Origin"] == UI
            assert "X-Namespace" in response.headers["Access-Control-Allow-Headers"]
        status, _, headers = await caller.post("/decode", Origin=UI)
        assert (status, headers["Access-Control-Allow-Origin"]) == (200, UI)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:8233.evil.example", f"{UI}/"])
async def test_other_pages_are_refused(origin: str) -> None:
    async with serving() as caller:
        for method in ("OPTIONS", "POST"):
            async with caller.session.request(
                method, caller.address + "/decode", headers={"Origin": origin}, data="{}"
            ) as response:
                assert response.status == 403
                assert "Access-Control-Allow-Origin" not in response.headers


async def test_a_foreign_name_that_leads_to_this_machine_is_refused() -> None:
    async with serving() as caller:
        assert (await caller.post("/decode", Host="evil.example"))[0] == 403
        assert (await caller.post("/decode", Host="localhost:1"))[0] == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_a_token_is_asked_for_where_there_is_one(host: str) -> None:
    async with serving(host, "t0ken") as caller:
        for wrong in ("", "Bearer", "Bearer t0keN", "Bearer t0ken2", "Basic t0ken", "t0ken"):
            status, _, headers = await caller.post("/decode", Authorization=wrong)
            assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
        assert (await caller.post("/decode", Authorization="Bearer t0ken"))[0] == 200
        async with caller.session.options(caller.address + "/decode", headers={"Origin": UI}) as response:
            assert response.status == 204  # browsers ask first, without the token


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "codec.example.com", ""])
def test_without_a_token_it_listens_on_this_machine_only(host: str) -> None:
    with pytest.raises(ConfigurationError, match="BACKSTAY_CODEC_TOKEN"):
        Access.checked(host, [UI], None)


@pytest.mark.parametrize("origin", ["*", "null", "localhost:8233", "http://", "http://a/b", "ftp://a", "http://u@a"])
def test_an_origin_that_is_none_is_refused(origin: str) -> None:
    with pytest.raises(ConfigurationError, match="is not an origin"):
        Access.checked("127.0.0.1", [origin], None)


def test_the_token_is_not_shown() -> None:
    assert "t0ken" not in repr(Access.checked("0.0.0.0", [UI], "t0ken"))


async def test_other_paths_and_methods_are_not_there() -> None:
    async with serving() as caller:
        assert (await caller.post("/"))[0] == 404
        async with caller.session.get(caller.address + "/decode") as response:
            assert response.status == 405


async def test_a_port_that_is_taken_is_a_clear_error() -> None:
    async with serving() as caller:
        port = int(caller.address.rsplit(":", 1)[1])
        with pytest.raises(ConfigurationError, match="--port"):
            async with codec_server(CODEC, Access.checked("127.0.0.1", [UI], None), port):
                pass
