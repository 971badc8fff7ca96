"""What a collector receives of runs: traces, metrics, and lines of the log."""

import asyncio
import contextlib
import json
import os
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from temporalio.client import Client, WorkflowFailureError

from backstay.adapters.dev_server import DevServer, free_port
from backstay.testing import Call, Failure, Reply, ScriptedModel, Usage

ROOT = Path(__file__).resolve().parents[2]
PROCESS = Path(__file__).with_name("traced_process.py")
PATIENCE = 60.0
CANARY = "canary-7f3a"

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


@dataclass(slots=True)
class Collector:
    """A receiver of OTLP over HTTP, and what it was sent."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list[bytes])
    spans: list[Received] = field(default_factory=list[Received])
    metrics: set[str] = field(default_factory=set[str])

    def named(self, name: str) -> list[Received]:
        """The spans of that name, or of that first word."""
        return [span for span in self.spans if name in (span.name, span.name.split()[0])]

    def names(self) -> Counter[str]:
        """How often each name came."""
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
        for group in ExportMetricsServiceRequest.FromString(await request.read()).resource_metrics:
            self.metrics |= {metric.name for scope in group.scope_metrics for metric in scope.metrics}
        return web.Response(content_type="application/x-protobuf")


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return [_plain(one) for one in value.array_value.values] if kind == "array_value" else getattr(value, kind or "")


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

    async def spoken(self, *arguments: str, **extra: str) -> str:
        """Runs a process to its end; returns what it printed."""
        process = await self._process(*arguments, **extra)
        printed, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode == 0, errors.decode()
        return printed.decode()

    @contextlib.asynccontextmanager
    async def worker(self, **extra: str) -> AsyncIterator[Callable[[], Awaitable[str]]]:
        """A worker that serves until the block ends; what it gives reads the log once the worker has ended."""
        process = await self._process("serve", **extra)
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

    async def start(self, **request: Any) -> Any:
        """Starts a run from a process of its own; returns a handle."""
        run_id = f"run-{uuid.uuid4()}"
        given = {"goal": f"look after {CANARY}", "agent": "clerk", "tenant": "acme", **request}
        await self.spoken("start", json.dumps(given), run_id)
        return self.client.get_workflow_handle(run_id)

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
    """Opens a stage on which the model says what it is told; `extra` are more variables."""

    @contextlib.asynccontextmanager
    async def opened(*script: Any, **extra: str) -> AsyncIterator[tuple[Stage, ScriptedModel]]:
        agents = agent_folder(tools=TOOLS)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "BACKSTAY_"))}
        async with ScriptedModel(script) as model:
            environment = {
                **kept,
                "PYTHONPATH": str(ROOT),
                "TEMPORAL_ADDRESS": temporal_server.address,
                "BACKSTAY_TASK_QUEUE": f"agents-{uuid.uuid4()}",
                "BACKSTAY_AGENTS": str(agents),
                "BACKSTAY_MODEL_PRICE": "input=0.25,output=2.00",
                "OPENAI_BASE_URL": model.base_url,
                "OPENAI_API_KEY": "none",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/v1/traces",
                "OTEL_BSP_SCHEDULE_DELAY": "50",
                **extra,
            }
            yield Stage(client, environment, collector), model

    return opened


async def until(holds: Callable[[], Any]) -> None:
    end = asyncio.get_running_loop().time() + PATIENCE
    while not holds():
        assert asyncio.get_running_loop().time() < end, "the condition did not come to hold"
        await asyncio.sleep(0.02)


def assert_one_whole_trace(collector: Collector) -> None:
    """One trace, no span twice, no span without its parent, no content."""
    assert len({span.trace for span in collector.spans}) == 1
    ids = {span.id for span in collector.spans}
    assert len(ids) == len(collector.spans)
    assert [span.name for span in collector.spans if span.parent not in ids] == ["start_run clerk"]
    assert not [span.name for span in collector.spans if span.message]
    assert not [body for body in collector.bodies if CANARY.encode() in body]


LOOK = Reply(calls=[Call("look", {"text": f"arg {CANARY}"})], usage=Usage(1000, 10))
ANSWER = Reply(f"it is {CANARY}", usage=Usage(1100, 20, cached_tokens=1000))


async def test_a_run_that_is_handed_over_is_one_trace(stage: Opener, collector: Collector) -> None:
    slow = Reply(calls=LOOK.calls, usage=LOOK.usage, delay=1.0)
    async with stage(LOOK, slow, ANSWER) as (processes, model):
        async with processes.worker():
            handle = await processes.start()
            await until(lambda: len(model.requests) == 2)
            await handle.execute_update("pause", {"by": "olga"})
            await until(lambda: len(collector.named("chat")) == 2)
            paused = {"start_run clerk", "invoke_agent clerk", "step", "chat gpt-5-mini", "execute_tool look"}
            assert paused <= set(collector.names())
            assert [span.attributes["backstay.step"] for span in collector.named("step")] == [1]
        async with processes.worker():
            await handle.execute_update("resume", {"by": "olga"})
            result = await handle.result()
        assert (result["stop_reason"], result["steps"]) == ("completed", 3)
    assert collector.names() == {
        "start_run clerk": 1,
        "invoke_agent clerk": 1,
        "step": 3,
        "chat gpt-5-mini": 3,
        "authorize look": 2,
        "execute_tool look": 2,
        "close_run clerk": 1,
    }
    assert_one_whole_trace(collector)
    by_id = {span.id: span for span in collector.spans}
    for span in [*collector.named("chat"), *collector.named("authorize"), *collector.named("execute_tool")]:
        assert by_id[span.parent].name == "step"
        assert by_id[span.parent].attributes["backstay.step"] == span.attributes["backstay.step"]
    for span in [*collector.named("step"), *collector.named("close_run")]:
        assert by_id[span.parent].name == "invoke_agent clerk"


async def test_a_replay_repeats_no_span_and_all_spans_say_what_the_conventions_ask(
    stage: Opener, collector: Collector
) -> None:
    async with stage(LOOK, ANSWER, OTEL_SERVICE_NAME="desk", BACKSTAY_CACHED_RUNS="0") as (processes, _):
        async with processes.worker():
            handle = await processes.start(metadata={"ticket": "4711"})
            await handle.result()
    assert_one_whole_trace(collector)
    assert (len(collector.named("step")), len(collector.named("chat"))) == (2, 2)
    for span in collector.spans:
        common = {"gen_ai.conversation.id": handle.id, "backstay.run.id": handle.id, "gen_ai.agent.name": "clerk"}
        assert common.items() <= span.attributes.items()
        assert (span.service, span.error, span.attributes["backstay.tenant"]) == ("desk", False, "acme")
    (invoked,) = collector.named("invoke_agent")
    assert invoked.attributes["gen_ai.operation.name"] == "invoke_agent"
    assert invoked.attributes["backstay.metadata.ticket"] == "4711"
    (tool,) = collector.named("execute_tool")
    assert tool.attributes["gen_ai.operation.name"] == "execute_tool"
    assert tool.attributes["gen_ai.tool.name"] == "look"
    assert tool.attributes["gen_ai.tool.call.id"] == "1-0"
    assert tool.attributes["backstay.call.status"] == "completed"
    (verdict,) = collector.named("authorize")
    assert verdict.attributes["backstay.verdict.outcome"] == "allow"
    first, second = sorted(collector.named("chat"), key=lambda span: span.attributes["backstay.step"])
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5-mini",
        "gen_ai.response.finish_reasons": ["tool_call"],
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 10,
        "backstay.usd": "0.00027",
    }
    assert expected.items() <= first.attributes.items()
    assert first.attributes["gen_ai.response.model"]
    assert second.attributes["gen_ai.usage.cache_read.input_tokens"] == 1000
    steps = sorted(collector.named("step"), key=lambda span: span.attributes["backstay.step"])
    assert [step.attributes["backstay.usd"] for step in steps] == [
        first.attributes["backstay.usd"],
        second.attributes["backstay.usd"],
    ]
    assert steps[1].attributes["backstay.stop_reason"] == "completed"
    (closed,) = collector.named("close_run")
    assert closed.attributes["backstay.stop_reason"] == "completed"
    assert (closed.attributes["backstay.steps"], closed.attributes["backstay.input_tokens"]) == (2, 2100)


async def test_what_fails_is_marked_and_its_text_is_kept_out(stage: Opener, collector: Collector) -> None:
    refused = Reply(calls=[Call("refuse", {"text": CANARY}), Call(f"{CANARY}_tool", {})])
    async with stage(refused, Failure(400, f"bad {CANARY}")) as (processes, _):
        async with processes.worker():
            handle = await processes.start()
            with pytest.raises(WorkflowFailureError):
                await handle.result()
    assert_one_whole_trace(collector)
    failures = {span.name: span.attributes["error.type"] for span in collector.spans if span.error}
    assert failures == {
        "execute_tool refuse": "failed",
        "chat gpt-5-mini": "refused",
        "close_run clerk": "ModelUnavailable",
    }
    (closed,) = collector.named("close_run")
    assert (closed.attributes["backstay.status"], closed.attributes["backstay.stop_reason"]) == (
        "failed",
        "model_unavailable",
    )
    outcomes = {span.name: span.attributes["backstay.verdict.outcome"] for span in collector.named("authorize")}
    assert outcomes == {"authorize refuse": "allow", "authorize": "deny"}


async def test_a_start_that_does_not_fit_is_a_failed_run_without_its_values(
    stage: Opener, collector: Collector
) -> None:
    async with stage() as (processes, _), processes.worker():
        run_id = f"run-{uuid.uuid4()}"
        queue = processes.environment["BACKSTAY_TASK_QUEUE"]
        handle = await processes.client.start_workflow("AgentRun", {"agent": CANARY}, id=run_id, task_queue=queue)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        await until(lambda: len(collector.spans) == 2)
    assert [(span.name, span.attributes.get("error.type")) for span in collector.spans] == [
        ("invoke_agent", None),
        ("close_run", "InvalidInput"),
    ]
    assert len({span.trace for span in collector.spans}) == 1
    assert CANARY.encode() not in b"".join(collector.bodies)


@pytest.mark.parametrize(
    "off",
    [
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ""},
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_EXPORTER": "none"},
    ],
    ids=lambda off: next(iter(off)),
)
async def test_nothing_is_loaded_and_nothing_is_sent_where_tracing_is_off(
    stage: Opener, collector: Collector, off: dict[str, str]
) -> None:
    async with stage(LOOK, ANSWER, **off) as (processes, _):
        said = json.loads(await processes.spoken("provider"))
        assert (said["provider"], said["plugins"]) == ("ProxyTracerProvider", 0)
        async with processes.worker():
            handle = await processes.start()
            assert (await handle.result())["stop_reason"] == "completed"
    assert collector.bodies == []


async def test_a_collector_that_is_not_there_holds_nothing_up(stage: Opener) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    async with stage(LOOK, ANSWER, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=nowhere) as (processes, _):
        async with processes.worker():
            handle = await processes.start()
            assert (await handle.result())["stop_reason"] == "completed"
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 10


async def test_metrics_are_sent_where_the_variables_say(stage: Opener, collector: Collector) -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_METRIC_EXPORT_INTERVAL": "200"}
    async with stage(LOOK, ANSWER, **variables) as (processes, _):
        async with processes.worker():
            await (await processes.start()).result()
            await until(lambda: "temporal_workflow_completed" in collector.metrics)
    assert_one_whole_trace(collector)


async def test_metrics_are_served_for_prometheus(stage: Opener) -> None:
    address = f"127.0.0.1:{free_port()}"
    async with stage(LOOK, ANSWER, BACKSTAY_PROMETHEUS=address) as (processes, _):
        async with processes.worker():
            await (await processes.start()).result()
            async with ClientSession() as session, session.get(f"http://{address}/metrics") as answer:
                assert "temporal_workflow_completed" in await answer.text()


async def test_lines_of_the_log_say_what_they_belong_to(stage: Opener, collector: Collector) -> None:
    async with stage(LOOK, ANSWER, BACKSTAY_LOG="json") as (processes, _):
        async with processes.worker() as log:
            handle = await processes.start()
            await handle.result()
        lines = [json.loads(line) for line in (await log()).splitlines()]
    (line,) = [line for line in lines if line["logger"] == "tool"]
    (tool,) = collector.named("execute_tool")
    assert (line["run"], line["step"], line["tenant"]) == (handle.id, 1, "acme")
    assert (line["trace_id"], line["span_id"], line["level"]) == (tool.trace, tool.id, "WARNING")
