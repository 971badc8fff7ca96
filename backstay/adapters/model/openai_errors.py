"""What a failed request to a model means: the client's exceptions as `ModelError`, one row per event."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

import httpx2
import openai

from backstay.errors import ModelError

LONGEST_WAIT = 3600.0
_LONGEST_MESSAGE = 280
_DEEPEST_MESSAGE = 4
_QUOTA = "insufficient_quota"
_UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
_UNSENDABLE = (
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
    httpx2.TooManyRedirects,
    httpx2.InvalidURL,
    UnicodeError,
    ValueError,
)


def as_model_error(error: Exception) -> ModelError:
    """The meaning of an exception of the client: what it is called, and whether it may be tried again or was billed.

    The message is as the provider wrote it; `shown` makes it fit for others.
    """
    if isinstance(error, ModelError):
        return error
    if isinstance(error, openai.APIStatusError):
        return _of_status(error)
    cause = error.__cause__ if isinstance(error, openai.APIConnectionError) else error
    if isinstance(cause, _UNSENT):
        return ModelError("unreachable", _unreachable(error), retryable=True, billed=False)
    if isinstance(error, openai.APITimeoutError) or isinstance(cause, httpx2.TimeoutException):
        return ModelError("timeout", "the connection stood still for too long", retryable=True, billed=True)
    if isinstance(cause, httpx2.DecodingError):
        return ModelError("unreadable", "the body cannot be decompressed", retryable=True, billed=True)
    if isinstance(cause, _UNSENDABLE):
        # Never the cause's own words: they quote the header that cannot be sent, and that is the key.
        message = f"the request cannot be sent ({type(cause).__name__}); check the key and the base URL"
        return ModelError("refused", message, retryable=False, billed=False)
    if isinstance(error, openai.OpenAIError) and not isinstance(error, openai.APIError):
        return ModelError("refused", f"the client cannot be used: {error}", retryable=False, billed=False)
    name = type(cause or error).__name__
    return ModelError("lost", f"the connection broke before the reply ended ({name})", retryable=True, billed=True)


def shown(error: ModelError, secret: str | None) -> ModelError:
    """The same error as one short line of writable text without `secret`, and without the exceptions behind it."""
    message = str(error).removeprefix(f"{error.kind}: ")
    if secret:
        message = message.replace(secret, "[key]")
    message = " ".join(message.encode("utf-8", "replace").decode().split())
    if len(message) > _LONGEST_MESSAGE:
        message = message[: _LONGEST_MESSAGE - 1] + "…"
    return ModelError(
        error.kind, message, retryable=error.retryable, billed=error.billed, retry_after=error.retry_after
    )


def provider_message(body: object) -> str:
    """What a provider says in an error's body, in any of the usual shapes; empty where it says nothing."""
    for _ in range(_DEEPEST_MESSAGE):
        if isinstance(body, str):
            return "" if body.lstrip().startswith("<") else body
        fields = fields_of(body)
        body = next((fields[name] for name in ("message", "error", "detail") if fields.get(name)), None)
    return ""


def fields_of(value: object) -> dict[str, Any]:
    """The fields of a JSON object; none for anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the provider asked to wait, at most an hour; None where it asked nothing that makes sense."""
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return _bounded(milliseconds / 1000)
    text = headers.get("retry-after", "")
    seconds = _number(text)
    if seconds is not None:
        return _bounded(seconds)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    # A date without a zone is one in UTC: HTTP knows no other.
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return _bounded(max(0.0, (moment - datetime.now(UTC)).total_seconds()))


def _of_status(error: openai.APIStatusError) -> ModelError:
    status, wait = error.status_code, retry_after(error.response.headers)
    said = provider_message(error.body)
    message = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    if status == 429 and _QUOTA not in (error.code, error.type):
        return ModelError("rate_limited", message, retryable=True, billed=False, retry_after=wait)
    if status in (408, 409) or status >= 500:
        # A conflict is found before the model is asked; behind the others a gateway may have given up on a
        # model that went on.
        return ModelError("overloaded", message, retryable=True, billed=status != 409, retry_after=wait)
    return ModelError("refused", message, retryable=False, billed=False)


def _unreachable(error: Exception) -> str:
    if not isinstance(error, openai.APIConnectionError):
        return "cannot connect to the model server"
    url = error.request.url
    return f"cannot connect to `{url.host}:{url.port or (443 if url.scheme == 'https' else 80)}`"


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _bounded(seconds: float) -> float | None:
    return min(seconds, LONGEST_WAIT) if seconds >= 0 else None
