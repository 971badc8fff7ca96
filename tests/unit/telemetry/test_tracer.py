"""Traces are asked for by the environment, and a failure is told by a stable word alone."""

import asyncio

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.trace import NoOpTracer, StatusCode
from temporalio.exceptions import ApplicationError

from backstay.errors import ModelError
from backstay.telemetry.tracer import ERROR_TYPE, error_kind, failed, switched_on, tracer

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER"):
        monkeypatch.delenv(name, raising=False)


def test_nothing_is_traced_unless_an_endpoint_is_named() -> None:
    assert not switched_on()
    assert isinstance(tracer(), NoOpTracer)


@pytest.mark.parametrize("name", [ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_an_endpoint_switches_traces_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:4318")
    assert switched_on()


@pytest.mark.parametrize(
    ("name", "value"), [(ENDPOINT, "  "), ("OTEL_SDK_DISABLED", " True"), ("OTEL_TRACES_EXPORTER", "none")]
)
def test_a_variable_switches_traces_off_again(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:4318")
    monkeypatch.setenv(name, value)
    assert not switched_on()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ModelError("overloaded", "busy", retryable=True, billed=False), "overloaded"),
        (ApplicationError("the order A17 is gone", type="ToolError"), "ToolError"),
        (ApplicationError("the order A17 is gone"), "ApplicationError"),
        (asyncio.CancelledError("by olga@example.com"), "cancelled"),
        (ValueError("the order A17 is gone"), "ValueError"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_an_error_is_named_by_a_word_and_never_by_its_text(error: BaseException, kind: str) -> None:
    assert error_kind(error) == kind


def test_a_failed_span_carries_the_word_and_the_status() -> None:
    span = TracerProvider().get_tracer("test").start_span("work")
    failed(span, "timeout")
    assert isinstance(span, ReadableSpan)
    assert span.attributes == {ERROR_TYPE: "timeout"}
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
