"""Switches tracing on, where OpenTelemetry's standard variables ask for it; one provider per process.

OpenTelemetry is imported where it is used: every command loads this module, and most processes have tracing off.
"""

import atexit
import functools
import os
import threading
from typing import TYPE_CHECKING

from temporalio.client import Client, Plugin

import backstay
from backstay.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer, TracerProvider

    from .runs import TracingPlugin

SCOPE = "backstay"
FLUSH_SECONDS = 3.0
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def switched_on() -> bool:
    """Whether the environment asks for traces: it names an endpoint, and nothing disables it."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return False
    return any(os.environ.get(name, "").strip() for name in _ENDPOINTS)


def client_plugins() -> list[Plugin]:
    """What a client of Temporal needs so that runs it starts are traced; nothing where tracing is off.

    Raises:
        ConfigurationError: the variables ask for a way of sending that is not there.
    """
    return [_plugin()] if switched_on() else []


def worker_plugins(client: Client) -> "list[TracingPlugin]":
    """What a worker needs beside that which its client brings along.

    Raises:
        ConfigurationError: another tracer provider, under which replays would repeat spans, serves the process already.
    """
    if not switched_on():
        return []
    from opentelemetry import trace
    from temporalio.contrib.opentelemetry import ReplaySafeTracerProvider

    plugin = _plugin()
    if not isinstance(trace.get_tracer_provider(), ReplaySafeTracerProvider):
        raise ConfigurationError(
            "the process has a tracer provider of its own, under which replayed runs would repeat their spans",
            where="OpenTelemetry",
            mend="start the worker without `opentelemetry-instrument`, or set `OTEL_SDK_DISABLED=true`",
        )
    return [] if plugin in client.config()["plugins"] else [plugin]


def tracer() -> "Tracer":
    """The tracer of activities and clients; one that does nothing where tracing is off."""
    from opentelemetry import trace

    return trace.get_tracer(SCOPE, backstay.__version__) if switched_on() else trace.NoOpTracer()


def flush(seconds: float = FLUSH_SECONDS) -> None:
    """Sends what is not sent yet, within a time limit; call it before a process ends by `os._exit`."""
    if not switched_on():
        return
    from opentelemetry import trace

    send = getattr(trace.get_tracer_provider(), "force_flush", None)
    if send is None:
        return
    sending = threading.Thread(target=send, daemon=True, name="backstay-flush")
    sending.start()
    sending.join(seconds)


@functools.cache
def _plugin() -> "TracingPlugin":
    """The one plugin of the process, with a provider that exports; a provider that is there already is kept."""
    from opentelemetry import trace

    from .runs import TracingPlugin

    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(_provider())
        atexit.register(flush)
    return TracingPlugin()


def _provider() -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from temporalio.contrib.opentelemetry import create_tracer_provider

    protocol = next((value for name in _PROTOCOLS if (value := os.environ.get(name, "").strip())), "http/protobuf")
    if protocol != "http/protobuf":
        raise ConfigurationError(
            f"traces cannot be sent by `{protocol}`",
            where=f"`{_PROTOCOLS[1]}`",
            mend="use `http/protobuf`, for which collectors listen on port 4318",
        )
    resource = Resource.create()
    if str(resource.attributes.get(SERVICE_NAME, "unknown_service")).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: SCOPE, SERVICE_VERSION: backstay.__version__}))
    # Not shut down by the SDK at exit, which may take half a minute; `flush` is registered instead.
    provider = create_tracer_provider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
