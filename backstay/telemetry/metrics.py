"""Metrics of workers: Temporal's own, for Prometheus to fetch or sent by OTLP."""

import functools
import logging
import os
from datetime import timedelta
from urllib.parse import unquote

from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    OpenTelemetryConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from backstay.errors import ConfigurationError

_PREFIX = "OTEL_EXPORTER_OTLP_"
_INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"


@functools.cache
def worker_runtime(prometheus: str | None = None) -> Runtime | None:
    """The runtime of a worker's connection, with metrics; None where nothing asks for them. One per process.

    Args:
        prometheus: `host:port` to serve them at; goes before OpenTelemetry's variables.

    Raises:
        ConfigurationError: the address or a variable cannot be used.
    """
    metrics = PrometheusConfig(bind_address=_address(prometheus)) if prometheus else otlp_metrics()
    if metrics is None:
        return None
    # Beside that the core logs through Python, as lines of the worker, and not to stdout.
    forwarded = LoggingConfig(
        TelemetryFilter(core_level="WARN", other_level="ERROR"),
        forwarding=LogForwardingConfig(logging.getLogger("temporalio")),
    )
    try:
        return Runtime(telemetry=TelemetryConfig(logging=forwarded, metrics=metrics))
    except (ValueError, RuntimeError) as error:
        where = "`BACKSTAY_PROMETHEUS`" if prometheus else "OpenTelemetry's variables"
        raise ConfigurationError(f"metrics cannot be served: {error}", where=where) from None


def otlp_metrics() -> OpenTelemetryConfig | None:
    """Where OpenTelemetry's variables send metrics; None where they name no endpoint, or switch metrics off."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if os.environ.get("OTEL_METRICS_EXPORTER", "").strip().lower() == "none":
        return None
    own, base = os.environ.get(f"{_PREFIX}METRICS_ENDPOINT", "").strip(), _either("ENDPOINT")
    if not own and not base:
        return None
    over_http = (_either("PROTOCOL") or "http/protobuf") != "grpc"
    url = own or (f"{base.rstrip('/')}/v1/metrics" if over_http else base)
    return OpenTelemetryConfig(url=url, http=over_http, headers=_headers(), metric_periodicity=_interval())


def _either(name: str) -> str:
    """A variable of metrics alone, or else the one for all signals."""
    return (os.environ.get(f"{_PREFIX}METRICS_{name}") or os.environ.get(f"{_PREFIX}{name}") or "").strip()


def _headers() -> dict[str, str]:
    pairs = [part.partition("=") for part in _either("HEADERS").split(",") if "=" in part]
    return {unquote(name.strip()): unquote(value.strip()) for name, _, value in pairs}


def _interval() -> timedelta:
    text = os.environ.get(_INTERVAL, "").strip() or "60000"
    if not text.isdecimal() or int(text) == 0:
        raise ConfigurationError("expected a whole number of milliseconds", where=f"`{_INTERVAL}`")
    return timedelta(milliseconds=int(text))


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        mend = "write `host:port`, such as `127.0.0.1:9464`"
        raise ConfigurationError("no address to serve metrics at", where="`BACKSTAY_PROMETHEUS`", mend=mend)
    return text
