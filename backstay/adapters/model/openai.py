"""A model behind either OpenAI API, at OpenAI or at any server that speaks it: one request, no retries."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import quote

import openai

from backstay.contracts.conversation import ModelReply, ModelRequest
from backstay.errors import ModelError

from .openai_errors import as_model_error, shown
from .openai_reply import read_reply, unreadable
from .openai_request import render

# A reply is stored whole, and the engine takes no payload of more than two megabytes.
MAX_BYTES = 1_500_000
_NO_KEY = "none"
_CONNECT_SECONDS = 10.0
_SAFE_IN_A_HEADER = "!#$&'()*+,/:;=?@[]~"


class OpenAIModel:
    """Asks one provider; an instance belongs to the event loop of its first request.

    Without a `base_url` the official client decides where to go, and it may find the key in its own environment
    variable; with a `base_url` no key but `api_key` is ever sent there. `timeout` is seconds of a whole request.
    """

    def __init__(self, api_key: str | None, base_url: str | None, timeout: float = 300.0) -> None:
        # A key read from a file ends in a newline more often than not, which no header can hold.
        self._key = (api_key or "").strip() or (_NO_KEY if base_url else None)
        self._base_url = base_url or None
        self._timeout = timeout
        self._client: openai.AsyncOpenAI | None = None

    async def reply(self, request: ModelRequest, call_id: Callable[[int], str]) -> ModelReply:
        """Sends one request and reads its reply; the i-th proposed call gets the id `call_id(i)`.

        A cancelled request closes its connection.

        Raises:
            ModelError: there is no usable reply. Its text is one short line without the key.
        """
        try:
            body = await self._body(request)
            return read_reply(request.model.api, body, call_id)
        except Exception as error:
            # The causes are cut off: a chain of exceptions is stored as well, and some of them quote the key.
            raise shown(as_model_error(error), self._secret()) from None

    async def close(self) -> None:
        """Closes the connections; a later request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _body(self, request: ModelRequest) -> bytes:
        try:
            # The client's own limit holds for each read, and a body that drips would never reach it.
            async with asyncio.timeout(self._timeout), self._sent(request) as response:
                return await _collected(response.iter_bytes())
        except TimeoutError:
            message = f"no whole reply within {self._timeout:g} seconds"
            raise ModelError("timeout", message, retryable=True, billed=True) from None

    def _sent(self, request: ModelRequest) -> AbstractAsyncContextManager[openai.AsyncAPIResponse[Any]]:
        """The request under way. The body goes around the typed parameters: their transform is quadratic in time."""
        client = self._opened()
        body = render(request, newest=_is_openai(client.base_url.host))
        headers = {"Idempotency-Key": quote(request.idempotency_key, safe=_SAFE_IN_A_HEADER, errors="replace")}
        if request.model.api == "chat":
            return client.chat.completions.with_streaming_response.create(
                model=request.model.name, messages=[], extra_body=body, extra_headers=headers
            )
        return client.responses.with_streaming_response.create(
            model=request.model.name, extra_body=body, extra_headers=headers
        )

    def _opened(self) -> openai.AsyncOpenAI:
        if self._client is None:
            limits = openai.Timeout(self._timeout, connect=min(_CONNECT_SECONDS, self._timeout))
            self._client = openai.AsyncOpenAI(api_key=self._key, base_url=self._base_url, timeout=limits, max_retries=0)
        return self._client

    def _secret(self) -> str | None:
        key = self._client.api_key if self._client is not None else self._key
        return None if key == _NO_KEY else key


async def _collected(chunks: AsyncIterator[bytes]) -> bytes:
    """The body, of which never more than the longest that can be used is held in memory."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_BYTES:
            raise unreadable(f"the body is longer than {MAX_BYTES} bytes")
    return bytes(body)


def _is_openai(host: str) -> bool:
    return host == "api.openai.com" or host.endswith((".api.openai.com", ".openai.azure.com"))
