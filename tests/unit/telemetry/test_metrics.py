"""Metrics go where variables say, and our histograms keep buckets of their own there."""

from types import SimpleNamespace
from typing import cast

import pytest
from temporalio.client import Client

from backstay.contracts import measures
from backstay.telemetry.metrics import gauge, otlp_metrics


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_SDK_DISABLED", "OTEL_METRICS_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def test_nothing_is_sent_where_no_variable_names_a_place() -> None:
    assert otlp_metrics() is None


def test_people_are_counted_in_hours_and_not_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    config = otlp_metrics()
    assert config is not None
    assert config.url == "http://127.0.0.1:4318/v1/metrics"
    buckets = config.histogram_bucket_overrides or {}
    assert set(buckets) == {measure.name for measure in measures.MEASURES if measure.buckets}
    assert max(buckets[measures.APPROVAL_WAIT.name]) > 86_400


def test_a_gauge_of_a_worker_without_metrics_does_nothing() -> None:
    service = SimpleNamespace(config=SimpleNamespace(runtime=None))
    client = cast("Client", SimpleNamespace(service_client=service))
    gauge(client, measures.CONTROL_AGE)(0.5)
