"""A caller that dies in the middle of its request is nobody's fault: no server of ours tells it as an error."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import urlsplit

import pytest

from backstay.adapters.payload.codec import EncryptingCodec
from backstay.adapters.payload.server import Access, codec_server
from backstay.compare.meter import LOOP, Meter, Upstream
from backstay.kernel.price import Price, Tier
from backstay.testing import Reply, ScriptedModel

HEAD = "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"

Serving = Callable[[], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def codec() -> AsyncIterator[str]:
    access = Access.checked("127.0.0.1", ["http://localhost:8233"], None)
    async with codec_server(EncryptingCodec({"new": os.urandom(32)}), access, 0) as address:
        yield f"{address}/decode"


@asynccontextmanager
async def model() -> AsyncIterator[str]:
    async with ScriptedModel([Reply("done")]) as server:
        yield f"{server.base_url}/chat/completions"


@asynccontextmanager
async def meter() -> AsyncIterator[str]:
    async with Meter(Upstream("http://127.0.0.1:9/v1", Price((Tier(0, 1, 1, 1),))), 9) as server:
        yield f"{server.base_url(LOOP)}/chat/completions"


async def die_in_the_middle(address: str) -> None:
    parts = urlsplit(address)
    _, caller = await asyncio.open_connection(parts.hostname, parts.port)
    caller.write(HEAD.format(path=parts.path).encode() + b'{"half": "of')
    await caller.drain()
    await asyncio.sleep(0.1)  # the server reads the body now
    caller.transport.abort()


@pytest.mark.parametrize("serving", [codec, model, meter])
async def test_a_caller_that_dies_in_the_middle_of_its_request_is_no_error_of_the_server(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as address:
        await die_in_the_middle(address)
        await asyncio.sleep(0.1)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
