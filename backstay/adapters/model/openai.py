"""Asks a model through either OpenAI API, at OpenAI or any compatible server, once and without retries."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from urllib.parse import quote

import openai

from backstay.contracts.admission import Api
from backstay.contracts.conversation import ModelReply, ModelRequest
from backstay.errors import ModelError

from .dialect import Dialect, Wire, dialect_of
from .function_names import named
from .openai_body import encoded
from .openai_errors import as_model_error, body_of, line, shown
from .openai_reply import read_bad_call, read_reply, unreadable
from .openai_request import render
from .refused import is_refusal, mended

# A reply is stored whole, and Temporal refuses payloads above two megabytes.
MAX_BYTES = 1_500_000
_NO_KEY = "none"
_CONNECT_SECONDS = 10.0
_MOST_MENDS = 6
_PATHS: Mapping[Api, str] = {"chat": "/chat/completions", "responses": "/responses"}
_NOT_READ = {"X-Stainless-Raw-Response": "stream"}
"""Tells the client to hand over a response before its body is read; it says the same of itself."""
_SAFE_IN_A_HEADER = "!#$&'()*+,/:;=?@[]~"
_AS_THE_HOST_SAYS = Wire()
_LOG = logging.getLogger("backstay.model")


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
        self._learned: dict[tuple[str, Api, Wire], Dialect] = {}

    async def reply(
        self, request: ModelRequest, call_id: Callable[[int], str], wire: Wire = _AS_THE_HOST_SAYS
    ) -> ModelReply:
        """Sends one request and reads the reply; cancelling closes the connection.

        A request that the server refuses for a parameter is sent again without it, which the server bills no more than
        the refusal; what it refused is remembered for the model.

        Args:
            request: the request to send.
            call_id: gives the id of the i-th proposed call, counted from 0.
            wire: what agent.toml says of the wire.

        Raises:
            ModelError: no usable reply came; the text is one short line without the key.
        """
        try:
            # The client's own timeout applies to each read, so a body that arrives byte by byte would never hit it.
            async with asyncio.timeout(self._timeout):
                return self._shown(await self._understood(request, call_id, wire))
        except TimeoutError:
            message = f"no whole reply within {self._timeout:g} seconds"
            raise ModelError("timeout", message, retryable=True, billed=True) from None
        except Exception as error:
            body = body_of(error) if isinstance(error, openai.APIStatusError) else None
            if reply := read_bad_call(body, body):
                return self._shown(reply)
            # INVARIANT: the error has no cause. Temporal stores causes too, and some of them quote the key.
            raise shown(as_model_error(error), self._secret()) from None

    async def close(self) -> None:
        """Closes the connections; a later request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _understood(self, request: ModelRequest, call_id: Callable[[int], str], wire: Wire) -> ModelReply:
        """Asks until the server takes the request as it is written, or refuses it for another reason."""
        known = (request.model.name, request.model.api, wire)
        host = self._opened().base_url.host
        dialect = self._learned.get(known) or dialect_of(host, request.model.name, request.model.api, wire)
        refused: dict[Dialect, str] = {}
        before: Exception | None = None
        while True:
            try:
                reply = named(read_reply(request.model.api, await self._body(request, dialect), call_id), request.tools)
            except Exception as error:
                mends = len(refused) < _MOST_MENDS and is_refusal(error)
                mend = mended(dialect, render(request, dialect), error) if mends else None
                if mend is None:
                    raise
                if mend.dialect in refused:
                    raise (before or error) from None  # the other form is refused too: the first refusal says more
                refused[dialect], dialect, before = mend.refused, mend.dialect, error
                continue
            if refused:
                self._learned[known] = dialect
                what = ", ".join(refused.values())
                _LOG.warning("`%s` at %s refuses %s: it is asked otherwise from now on", request.model.name, host, what)
            return reply

    async def _body(self, request: ModelRequest, dialect: Dialect) -> bytes:
        # The body goes as bytes: the client's transform of typed parameters takes quadratic time, and most of the
        # conversation is encoded already.
        body = encoded(request, dialect)
        key = quote(request.idempotency_key, safe=_SAFE_IN_A_HEADER, errors="replace")
        headers = {"Idempotency-Key": key, **_NOT_READ}
        response = await self._opened().post(
            _PATHS[request.model.api],
            cast_to=openai.AsyncAPIResponse[bytes],
            content=body,
            options={"headers": headers, "security": {"bearer_auth": True}},
        )
        try:
            return await _collected(response.iter_bytes())
        finally:
            await response.close()

    def _opened(self) -> openai.AsyncOpenAI:
        if self._client is None:
            limits = openai.Timeout(self._timeout, connect=min(_CONNECT_SECONDS, self._timeout))
            self._client = openai.AsyncOpenAI(api_key=self._key, base_url=self._base_url, timeout=limits, max_retries=0)
        return self._client

    def _shown(self, reply: ModelReply) -> ModelReply:
        """Returns a reply of which the problem, which may quote the provider, is safe to show."""
        problem = reply.decision.problem
        if problem is None:
            return reply
        decision = reply.decision.model_copy(update={"problem": line(problem, self._secret())})
        return replace(reply, decision=decision)

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
