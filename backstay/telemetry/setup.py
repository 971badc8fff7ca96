"""Sets tracing up where OpenTelemetry's standard variables ask for it; one provider per process.

OpenTelemetry is imported where it is used, because every command loads this module and most processes trace nothing.
"""

import atexit
import functools
import os
import threading
from typing import TYPE_CHECKING

from temporalio.client import Client, Plugin

import backstay
from backstay.errors import ConfigurationError
from backstay.extras import require

from .tracer import SCOPE, switched_on

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from .runs import TracingPlugin

FLUSH_SECONDS = 3.0
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def client_plugins() -> list[Plugin]:
    """Returns the plugins that trace the runs a client starts; none while tracing is off.

    Raises:
        ConfigurationError: the variables ask for a protocol that is not supported.
    """
    return [_plugin()] if switched_on() else []


def worker_plugins(client: Client) -> "list[TracingPlugin]":
    """Returns the plugins that a worker needs beside those of its client.

    Raises:
        ConfigurationError: the process has another tracer provider, under which replays would repeat spans.
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


def flush(seconds: float = FLUSH_SECONDS) -> None:
    """Sends the spans that are left; call it before a process ends by `os._exit`.

    Args:
        seconds: how long sending may take.
    """
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
    """Returns the one plugin of the process, with a provider that exports; an existing provider is kept."""
    require("worker")
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
    # The SDK's own shutdown at exit may take half a minute. `flush` is registered in its place.
    provider = create_tracer_provider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
