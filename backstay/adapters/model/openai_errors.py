"""Turns the OpenAI client's exceptions into `ModelError`."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

import httpx2
import openai

from backstay.errors import ModelError

from .body import read_body
from .openai_usage import bill_of_error
from .reported import bills_in, fields_of, is_error, is_too_long, model_in, provider_message, status_of

LONGEST_WAIT = 3600.0
_LONGEST_MESSAGE = 980
_QUOTA = "insufficient_quota"
_TOO_LONG = (400, 413, 422)
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
    """Returns a `ModelError` for an exception of the client: its kind, and whether to retry and whether it was billed.

    The message is the provider's own; pass the error to `shown` before anybody reads it.
    """
    if isinstance(error, ModelError):
        return error
    if isinstance(error, openai.APIStatusError):
        return _of_status(error)
    cause = error.__cause__ if isinstance(error, openai.APIConnectionError) else error
    if isinstance(cause, _UNSENT):
        return ModelError("unreachable", _unreachable(error), retryable=True, billed=False)
    if isinstance(error, openai.APITimeoutError) or isinstance(cause, httpx2.TimeoutException):
        return ModelError("timeout", "the server sent nothing for too long", retryable=True, billed=True)
    if isinstance(cause, httpx2.DecodingError):
        return ModelError("unreadable", "the body cannot be decompressed", retryable=True, billed=True)
    if isinstance(cause, _UNSENDABLE):
        # INVARIANT: the cause's text is never shown. It quotes the header that cannot be sent, which holds the key.
        message = f"the request cannot be sent ({type(cause).__name__}); check the key and the base URL"
        return ModelError("refused", message, retryable=False, billed=False)
    if isinstance(error, openai.OpenAIError) and not isinstance(error, openai.APIError):
        return ModelError("refused", f"the client cannot be used: {error}", retryable=False, billed=False)
    name = type(cause or error).__name__
    return ModelError("lost", f"the connection broke before the reply ended ({name})", retryable=True, billed=True)


def shown(error: ModelError, secret: str | None) -> ModelError:
    """Returns a copy of the error that is safe to show: one line, without `secret` and without a cause."""
    return error.worded(line(error.message, secret))


def line(text: str, secret: str | None) -> str:
    """Returns a provider's words as one line of at most 980 characters, without `secret`."""
    clean = text.replace(secret, "[key]") if secret else text
    clean = " ".join(clean.encode("utf-8", "replace").decode().split())
    return clean if len(clean) <= _LONGEST_MESSAGE else clean[: _LONGEST_MESSAGE - 1] + "…"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Reads how many seconds the provider asks to wait, at most an hour; None where the headers give no valid time."""
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return _bounded(milliseconds / 1000)
    text = headers.get("retry-after", "")
    seconds = _number(text)
    if seconds is not None:
        return _bounded(seconds)
    try:
        moment = parsedate_to_datetime(text)
        # HTTP dates are in UTC, so a date without a zone is too.
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return _bounded(max(0.0, (moment - datetime.now(UTC)).total_seconds()))
    except (ValueError, OverflowError):  # a year that no clock has, or a zone that leads out of it
        return None


def reported_error(value: object) -> ModelError | None:
    """Returns the error that the body of an HTTP 200 reports, by the status it stands for; None where it has none."""
    error = error_in(value)
    status = status_of(error)
    if error is None or status is None:
        return None
    named = fields_of(error)
    return _error_of_status(status, error, _QUOTA in (named.get("code"), named.get("type")))


def billed_by(failure: ModelError, body: object) -> ModelError:
    """Returns the failure with the bill in its body: whatever its status says, the provider then charges for it."""
    return failure.that_billed(bill_of_error(body), model_in(body)) if bills_in(body) else failure


def error_in(value: object) -> object:
    """Returns the error in the body of an HTTP 200, wherever servers put it; None where it has none.

    A body that is no reply is one as a whole, where it says by a code or in words what went wrong.
    """
    fields = fields_of(value)
    if fields.get("object") == "error" or (fields.get("type") == "error" and not fields.get("error")):
        return value
    choice = _first_choice(fields)
    places = (fields.get("error"), choice.get("error"), fields_of(choice.get("message")).get("error"))
    error = next((place for place in places if is_error(place)), None)
    if error is not None:
        return value if error is True else error
    is_reply = bool(fields.get("choices")) or "output" in fields
    return None if is_reply or status_of(value) is None else value


def _first_choice(fields: dict[str, Any]) -> dict[str, Any]:
    choices = fields.get("choices")
    return fields_of(cast("list[object]", choices)[0]) if isinstance(choices, list) and choices else {}


def body_of(error: openai.APIStatusError) -> object:
    """Returns the whole body of an error; the client keeps only a part."""
    content = error.response.content
    try:
        return read_body(content)
    except (ValueError, RecursionError):
        return content.decode("utf-8", "replace")


def _of_status(error: openai.APIStatusError) -> ModelError:
    out_of_quota = _QUOTA in (error.code, error.type)
    body = body_of(error)
    failure = _error_of_status(error.status_code, body, out_of_quota, retry_after(error.response.headers))
    return billed_by(failure, body)


def _error_of_status(status: int, body: object, out_of_quota: bool, wait: float | None = None) -> ModelError:
    said = provider_message(body)
    message = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    if status == 429 and not out_of_quota:
        return ModelError("rate_limited", message, retryable=True, billed=False, retry_after=wait)
    if status in (408, 409) or status >= 500:
        # A conflict (409) is found before the model starts. With the others a gateway may have given up on a model
        # that kept working, and was billed.
        return ModelError("overloaded", message, retryable=True, billed=status != 409, retry_after=wait)
    kind = "too_long" if status in _TOO_LONG and is_too_long(body) else "refused"
    return ModelError(kind, message, retryable=False, billed=False)


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
