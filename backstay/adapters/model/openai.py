"""Asks a model through either OpenAI API, at OpenAI or any compatible server, once and without retries."""

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

# A reply is stored whole, and Temporal refuses payloads above two megabytes.
MAX_BYTES = 1_500_000
_NO_KEY = "none"
_CONNECT_SECONDS = 10.0
_SAFE_IN_A_HEADER = "!#$&'()*+,/:;=?@[]~"


class OpenAIModel:
    """A connection to one provider, bound to the event loop of its first request."""

    def __init__(self, api_key: str | None, base_url: str | None, timeout: float = 300.0) -> None:
        """Prepares the connection and opens none.

        Args:
            api_key: the only key ever sent to `base_url`; without both, the official client may read its own variable.
            base_url: the server's address; without one, the official client's default.
            timeout: the limit for a whole request, in seconds.
        """
        # A key read from a file often ends in a newline, which a header cannot hold.
        self._key = (api_key or "").strip() or (_NO_KEY if base_url else None)
        self._base_url = base_url or None
        self._timeout = timeout
        self._client: openai.AsyncOpenAI | None = None

    async def reply(self, request: ModelRequest, call_id: Callable[[int], str]) -> ModelReply:
        """Sends one request and reads the reply; cancelling closes the connection.

        Args:
            request: the request to send.
            call_id: gives the id of the i-th proposed call, counted from 0.

        Raises:
            ModelError: no usable reply came; the text is one short line without the key.
        """
        try:
            body = await self._body(request)
            return read_reply(request.model.api, body, call_id)
        except Exception as error:
            # INVARIANT: the error has no cause. Temporal stores causes too, and some of them quote the key.
            raise shown(as_model_error(error), self._secret()) from None

    async def close(self) -> None:
        """Closes the connections; a later request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _body(self, request: ModelRequest) -> bytes:
        try:
            # The client's own timeout applies to each read, so a body that arrives byte by byte would never hit it.
            async with asyncio.timeout(self._timeout), self._sent(request) as response:
                return await _collected(response.iter_bytes())
        except TimeoutError:
            message = f"no whole reply within {self._timeout:g} seconds"
            raise ModelError("timeout", message, retryable=True, billed=True) from None

    def _sent(self, request: ModelRequest) -> AbstractAsyncContextManager[openai.AsyncAPIResponse[Any]]:
        """Sends the request and returns its response, not yet read."""
        # The body goes in `extra_body`, because the client's transform of typed parameters takes quadratic time.
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
    """Reads a body, and gives up as soon as it is too long to use."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_BYTES:
            raise unreadable(f"the body is longer than {MAX_BYTES} bytes")
    return bytes(body)


def _is_openai(host: str) -> bool:
    return host == "api.openai.com" or host.endswith((".api.openai.com", ".openai.azure.com"))
