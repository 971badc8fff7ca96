"""A collector of telemetry, and processes that send to it: OpenTelemetry has one provider per process."""

import asyncio
import contextlib
import json
import os
import re
import sys
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from temporalio.client import Client, WorkflowHandle

from backstay.adapters.engine.dev_server import DevServer, free_port
from backstay.testing import ScriptedModel

ROOT = Path(__file__).resolve().parents[2]
PROCESS = Path(__file__).with_name("traced_process.py")
PATIENCE = 120.0

Labels = frozenset[tuple[str, str]]
Figures = dict[tuple[str, Labels], float]
"""Values of metrics, by name and labels."""

TOOLS = '''
import logging
from backstay.tools import ToolError, tool

@tool(effect="read")
async def look(text: str) -> str:
    """Looks something up."""
    logging.getLogger("tool").warning("looked up %d characters", len(text))
    return f"found {text}"

@tool(effect="read")
async def refuse(text: str) -> str:
    """Refuses."""
    raise ToolError(f"no {text}")
'''


@dataclass(frozen=True, slots=True)
class Received:
    """A span as it came in."""

    name: str
    trace: str
    id: str
    parent: str
    error: bool
    message: str
    attributes: dict[str, Any]
    service: str

    def has(self, **attributes: Any) -> bool:
        """Tells whether it has these attributes with these values."""
        return {name: self.attributes.get(name) for name in attributes} == attributes


@dataclass(slots=True)
class Collector:
    """A receiver of OTLP over HTTP, and what it was sent."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list[bytes])
    spans: list[Received] = field(default_factory=list[Received])
    metrics: set[str] = field(default_factory=set[str])
    points: dict[tuple[str, Labels, int], float] = field(default_factory=dict[tuple[str, Labels, int], float])
    """The last value of each metric, by its name, its labels, and when the process began to count."""

    def figures(self) -> Figures:
        """The metrics of all processes together, as Prometheus would name them."""
        found: Figures = defaultdict(float)
        for (name, labels, _), value in self.points.items():
            found[name, labels] += value
        return found

    def named(self, name: str) -> list[Received]:
        """The spans of that name, or of that first word."""
        return [span for span in self.spans if name in (span.name, span.name.split()[0])]

    def one(self, name: str) -> Received:
        """The one span of that name."""
        (span,) = self.named(name)
        return span

    def names(self) -> Counter[str]:
        """Counts the spans by name."""
        return Counter(span.name for span in self.spans)

    async def traces(self, request: web.Request) -> web.Response:
        """Takes spans in."""
        body = await request.read()
        self.bodies.append(body)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = {pair.key: _plain(pair.value) for pair in group.resource.attributes}
            for span in (span for scope in group.scope_spans for span in scope.spans):
                attributes = {pair.key: _plain(pair.value) for pair in span.attributes}
                ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                failed = span.status.code == 2
                assert not span.events, "exceptions are not recorded: their text may hold anything"
                self.spans.append(
                    Received(span.name, *ids, failed, span.status.message, attributes, resource["service.name"])
                )
        return web.Response(content_type="application/x-protobuf")

    async def measured(self, request: web.Request) -> web.Response:
        """Takes metrics in."""
        body = await request.read()
        self.bodies.append(body)
        for group in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for metric in (metric for scope in group.scope_metrics for metric in scope.metrics):
                self.metrics.add(metric.name)
                self._measured(metric)
        return web.Response(content_type="application/x-protobuf")

    def _measured(self, metric: Metric) -> None:
        """Keeps the values of a metric: those of a process are sums from its start on."""
        for point in (*metric.sum.data_points, *metric.gauge.data_points):
            began = point.start_time_unix_nano if metric.HasField("sum") else 0
            value = point.as_double if point.HasField("as_double") else point.as_int
            self.points[metric.name, _labels(point.attributes), began] = value
        for point in metric.histogram.data_points:
            labels, began = _labels(point.attributes), point.start_time_unix_nano
            self.points[f"{metric.name}_sum", labels, began] = point.sum
            self.points[f"{metric.name}_count", labels, began] = point.count


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return [_plain(one) for one in value.array_value.values] if kind == "array_value" else getattr(value, kind or "")


def _labels(pairs: Iterable[KeyValue]) -> Labels:
    return frozenset((pair.key, str(_plain(pair.value))) for pair in pairs)


_LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def scraped(text: str) -> Figures:
    """Reads the page that a worker serves for Prometheus."""
    found: Figures = defaultdict(float)
    for name, labels, value in _LINE.findall(text):
        found[name, frozenset(_LABEL.findall(labels))] += float(value)
    return found


def total(figures: Figures, name: str, **labels: str) -> float:
    """Adds up a metric, over all values that have these labels."""
    wanted = set(labels.items())
    return sum(value for (named, given), value in figures.items() if named == name and wanted <= given)


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    """A collector on this machine."""
    given = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", given.traces)
    app.router.add_post("/v1/metrics", given.measured)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    given.url = f"http://127.0.0.1:{port}"
    yield given
    await runner.cleanup()


@dataclass(slots=True)
class Stage:
    """Processes of one task queue, all with the same environment."""

    client: Client
    environment: dict[str, str]
    collector: Collector
    serving: list[asyncio.subprocess.Process] = field(default_factory=list[asyncio.subprocess.Process])

    async def kill(self) -> None:
        """Kills the worker that began last, as a machine does that fails."""
        self.serving[-1].kill()
        await self.serving[-1].wait()

    async def spoken(self, *arguments: str, **extra: str) -> str:
        """Runs a process to its end; returns what it printed."""
        process = await self._process(*arguments, **extra)
        printed, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode == 0, errors.decode()
        return printed.decode()

    async def provider(self) -> dict[str, Any]:
        """Returns what a process that connects has of OpenTelemetry."""
        return json.loads(await self.spoken("provider"))

    @contextlib.asynccontextmanager
    async def worker(self, **extra: str) -> AsyncIterator[Callable[[], Awaitable[str]]]:
        """A worker that serves until the block ends; what it gives reads the log once the worker has ended."""
        process = await self._process("serve", **extra)
        self.serving.append(process)
        assert process.stdout is not None
        assert process.stderr is not None
        errors = asyncio.create_task(process.stderr.read())

        async def log() -> str:
            return (await errors).decode()

        ready = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        assert ready == b"ready\n", await log()
        try:
            yield log
        finally:
            if process.returncode is None:
                process.terminate()
            await asyncio.wait_for(process.wait(), PATIENCE)

    async def start(self, request: Mapping[str, Any], *, traced: bool = False) -> WorkflowHandle[Any, Any]:
        """Starts a run, `traced` from a process that is traced too; its id is a new one."""
        run_id = f"run-{uuid.uuid4()}"
        if traced:
            await self.spoken("start", json.dumps(request), run_id)
            return self.client.get_workflow_handle(run_id)
        queue = self.environment["BACKSTAY_TASK_QUEUE"]
        return await self.client.start_workflow("AgentRun", request, id=run_id, task_queue=queue)

    async def _process(self, *arguments: str, **extra: str) -> asyncio.subprocess.Process:
        environment = {**self.environment, **extra}
        return await asyncio.create_subprocess_exec(
            sys.executable, str(PROCESS), *arguments, env=environment, stdout=-1, stderr=-1, cwd=ROOT
        )


Opener = Callable[..., AbstractAsyncContextManager[tuple[Stage, ScriptedModel]]]


@pytest.fixture
def stage(
    temporal_server: DevServer, client: Client, agent_folder: Callable[..., Path], collector: Collector
) -> Opener:
    """Opens a stage on which the model says what it is told, in each run or by goal; `extra` are more variables."""

    @contextlib.asynccontextmanager
    async def opened(*script: Any, **extra: str) -> AsyncIterator[tuple[Stage, ScriptedModel]]:
        agents = agent_folder(tools=TOOLS)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "BACKSTAY_"))}
        scripts = script[0] if script and isinstance(script[0], Mapping) else script
        async with ScriptedModel(scripts) as model:
            environment = {
                **kept,
                "PYTHONPATH": str(ROOT),
                "TEMPORAL_ADDRESS": temporal_server.address,
                "BACKSTAY_TASK_QUEUE": f"agents-{uuid.uuid4()}",
                "BACKSTAY_AGENTS": str(agents),
                "BACKSTAY_MODEL_PRICE": "input=0.25,output=2.00",
                "OPENAI_BASE_URL": model.base_url,
                "OPENAI_API_KEY": "scripted-model",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/v1/traces",
                "OTEL_BSP_SCHEDULE_DELAY": "50",
                **extra,
            }
            yield Stage(client, environment, collector), model

    return opened
