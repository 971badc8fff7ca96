"""Writes logs as JSON lines, each tagged with its run, step, tenant and trace where it has them."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

from opentelemetry import trace
from temporalio import activity, workflow

from . import genai


class JsonLines(logging.Formatter):
    """Formats each record as one JSON object.

    Every object has `time`, `level`, `logger` and `message`. `run`, `step`, `tenant`, `trace_id`, `span_id` and
    `exception` are there when they are known.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line without its line break."""
        line: dict[str, str | int] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_belongs(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def log_as_json(level: int = logging.WARNING, stream: TextIO | None = None) -> None:
    """Writes the log of the whole process as JSON lines.

    Args:
        level: the lowest level that is written.
        stream: where to; default: stderr.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=level, force=True)


def _belongs() -> dict[str, str | int]:
    whose = genai.WHOSE.get()
    run = whose.run_id if whose else _run_id()
    span = trace.get_current_span().get_span_context()
    known = {
        "run": run,
        "step": whose.step if whose else None,
        "tenant": whose.tenant if whose else None,
        "trace_id": trace.format_trace_id(span.trace_id) if span.is_valid else None,
        "span_id": trace.format_span_id(span.span_id) if span.is_valid else None,
    }
    return {name: value for name, value in known.items() if value is not None}


def _run_id() -> str | None:
    if activity.in_activity():
        return activity.info().workflow_id
    return workflow.info().workflow_id if workflow.in_workflow() else None
