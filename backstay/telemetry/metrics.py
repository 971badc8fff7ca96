"""Offers a worker's metrics, Temporal's own and ours beside them: Prometheus fetches them, or OTLP sends them."""

import functools
import logging
import os
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import unquote

from temporalio.client import Client
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    OpenTelemetryConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from backstay.contracts.measures import MEASURES, Measure
from backstay.errors import ConfigurationError

_PREFIX = "OTEL_EXPORTER_OTLP_"
_INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"
# Temporal's own buckets are milliseconds, up to some seconds: people, and parts of a budget, need others.
_BUCKETS = {measure.name: measure.buckets for measure in MEASURES if measure.buckets}


@functools.cache
def worker_runtime(prometheus: str | None = None) -> Runtime | None:
    """Returns the runtime with metrics for a worker's connection, one per process; None if nothing asks for metrics.

    Args:
        prometheus: `host:port` to serve metrics at; wins over OpenTelemetry's variables.

    Raises:
        ConfigurationError: the address or a variable cannot be used.
    """
    served = PrometheusConfig(_address(prometheus), histogram_bucket_overrides=_BUCKETS) if prometheus else None
    metrics = served or otlp_metrics()
    if metrics is None:
        return None
    # Temporal's core logs to stdout by default. Sent through Python, its lines join the worker's own log.
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
    """Reads where OpenTelemetry's variables send metrics; None if they name no endpoint or switch metrics off."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if os.environ.get("OTEL_METRICS_EXPORTER", "").strip().lower() == "none":
        return None
    own, base = os.environ.get(f"{_PREFIX}METRICS_ENDPOINT", "").strip(), _either("ENDPOINT")
    if not own and not base:
        return None
    over_http = (_either("PROTOCOL") or "http/protobuf") != "grpc"
    url = own or (f"{base.rstrip('/')}/v1/metrics" if over_http else base)
    return OpenTelemetryConfig(
        url=url,
        http=over_http,
        headers=_headers(),
        metric_periodicity=_interval(),
        histogram_bucket_overrides=_BUCKETS,
    )


def gauge(client: Client, measure: Measure) -> Callable[[float], None]:
    """Returns what sets a gauge of the worker that uses a connection; it does nothing where nothing asks for metrics.

    Args:
        client: the connection.
        measure: the gauge, which has no labels.
    """
    runtime = client.service_client.config.runtime or Runtime.default()
    return runtime.metric_meter.create_gauge_float(measure.name, measure.meaning, measure.unit).set


def _either(name: str) -> str:
    """Reads the variable for metrics, else the one for all signals."""
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
        raise ConfigurationError("is no address to serve metrics at", where="`BACKSTAY_PROMETHEUS`", mend=mend)
    return text
