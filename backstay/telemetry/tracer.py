"""Says whether traces are asked for, hands out the tracer, and marks spans as failed.

The lowest module of this package: it imports no other one. OpenTelemetry is imported where it is used, because every
command loads this module and most processes trace nothing.
"""

import asyncio
import os
from typing import TYPE_CHECKING, Final

from temporalio.exceptions import ApplicationError

import backstay
from backstay.errors import ModelError

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

SCOPE: Final = "backstay"
ERROR_TYPE: Final = "error.type"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def switched_on() -> bool:
    """Tells whether the environment asks for traces: it names an endpoint, and nothing disables it."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return False
    return any(os.environ.get(name, "").strip() for name in _ENDPOINTS)


def tracer() -> "Tracer":
    """Returns the tracer of activities and clients; it does nothing while tracing is off."""
    from opentelemetry import trace

    return trace.get_tracer(SCOPE, backstay.__version__) if switched_on() else trace.NoOpTracer()


def failed(span: "Span", kind: str) -> None:
    """Marks a span as failed.

    Args:
        span: the span to mark.
        kind: a stable word; never the text of an error, which may hold anything.
    """
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute(ERROR_TYPE, kind)
    span.set_status(Status(StatusCode.ERROR))


def error_kind(error: BaseException) -> str:
    """Returns the stable word for an error."""
    match error:
        case ModelError():
            return error.kind
        case ApplicationError():
            return error.type or "ApplicationError"
        case asyncio.CancelledError():
            return "cancelled"
        case _:
            return type(error).__qualname__
