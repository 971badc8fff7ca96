"""Describes the metrics of a worker from their list."""

from backstay.contracts.measures import MEASURES

from .markdown import code, page, table

_TEXT = """\
A worker serves these metrics for Prometheus where `BACKSTAY_PROMETHEUS` says so, else sends them where
`OTEL_EXPORTER_OTLP_ENDPOINT` points, beside [Temporal's own](https://docs.temporal.io/references/sdk-metrics)
(`temporal_...`: failed workflow tasks, latencies of activities, free slots). `deploy/monitoring/` has alerts and a
dashboard for both."""

_HOW = """\
No label grows with the number of runs: neither run nor tenant is one, and no label holds a text of a model or of a
caller. `agent` is empty for a run that ended before its admission; a start that was refused is no run here.

Each worker counts what it does, from zero when it starts, and a replay counts nothing again: add the workers up, with
`rate` or `increase` over time. Verdicts and the waiting for people are counted as they come. What a run has spent is
counted once, at its end, by the worker that closes it: the sums are those of its result, even if another worker died
before. Only a worker that dies between a count and the engine's hearing of it leaves it to be counted once more. One
that dies takes with it what nobody has fetched from it, or what it has not sent.

A histogram has `_bucket`, `_sum` and `_count` in Prometheus. What one rule of several decides is counted for each of
them, so that the sum of `backstay_verdict_rules` is not the number of verdicts. A call that is judged again, after an
approval or just before its effect, has a verdict for each time that is recorded. A run is told of a kill by the
engine: what passes before a worker takes the message is in `temporal_workflow_task_schedule_to_start_latency`, and not
in `backstay_kill_latency_seconds`."""


def metrics() -> str:
    """Returns the page about the metrics."""
    lines = [
        (code(one.name), one.kind.value, code(one.unit), ", ".join(map(code, one.labels)), one.meaning)
        for one in MEASURES
    ]
    return page("Metrics", _TEXT, table(("metric", "kind", "unit", "labels", "meaning"), lines), _HOW)
