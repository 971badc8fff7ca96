"""Traces runs: the start, each step and the end.

Most of this runs inside the workflow. Span ids come from the run's own randomness, and a span is exported only if it
ends outside a replay. So a worker that takes over a run continues the spans of the worker before.
"""

import asyncio
import contextlib
from collections.abc import Callable, Generator
from typing import Any, cast

from opentelemetry import trace
from opentelemetry.context import Context, attach, get_current
from opentelemetry.trace import Span, SpanKind
from temporalio import workflow
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.client import OutboundInterceptor, StartWorkflowInput, WorkflowHandle
from temporalio.contrib.opentelemetry import OpenTelemetryPlugin
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ExecuteWorkflowInput,
    HandleSignalInput,
    HandleUpdateInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)
from temporalio.worker import Interceptor as WorkerInterceptor

from backstay.contracts import names
from backstay.contracts.run import RunRequest
from backstay.contracts.status import RunStatusView
from backstay.contracts.trace import Trace
from backstay.kernel.money import format_usd, parse_usd

from . import genai
from .genai import Value, Whose
from .tracer import SCOPE, error_kind, failed, tracer


class TracingPlugin(OpenTelemetryPlugin):
    """Adds the spans of runs to Temporal's plugin, which carries a trace from process to process."""

    def __init__(self) -> None:
        super().__init__()
        # The order matters: `Starts` opens its span before the plugin sends the context, `Runs` after it was received.
        self.interceptors = [Starts(), *(self.interceptors or ()), Runs()]


class Starts(ClientInterceptor):
    """Traces each start of a run by a client."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        """Adds a span around each start."""
        return _TracedStart(next)


class _TracedStart(OutboundInterceptor):
    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        if input.workflow != names.AGENT_RUN:
            return await super().start_workflow(input)
        whose = genai.whose_run(input.id, genai.read_request(input.args))
        with tracer().start_as_current_span(
            genai.span_name(genai.START_RUN, whose.agent),
            kind=SpanKind.PRODUCER,
            attributes=whose.attributes(),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                return await super().start_workflow(input)
            except BaseException as error:
                failed(span, error_kind(error))
                raise


class Runs(WorkerInterceptor):
    """Traces the runs that a worker serves."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        """Returns the class that traces one run."""
        return RunTrace


class RunTrace(WorkflowInboundInterceptor):
    """Traces one run."""

    def __init__(self, next: WorkflowInboundInterceptor) -> None:
        super().__init__(next)
        self._whose = Whose("")
        self._context: Context | None = None

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        """Traces the start and the end of the run, and hands itself to the run for the steps."""
        info = workflow.info()
        if info.workflow_type != names.AGENT_RUN:
            return await super().execute_workflow(input)
        request = genai.read_request(input.args)
        self._whose = genai.whose_run(info.workflow_id, request)
        genai.WHOSE.set(self._whose)
        self._context = self._begun(request)
        trace: Trace = self
        workflow.instance().trace = trace
        with attached(self._context):
            try:
                result = await super().execute_workflow(input)
            except (Exception, asyncio.CancelledError) as error:
                self._broke_off(error)
                raise
            self._close(result)
            return result

    async def handle_signal(self, input: HandleSignalInput) -> None:
        """Traces what a message causes under the run, not under its sender."""
        with attached(self._context):
            await super().handle_signal(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:
        """Traces what a message causes under the run, not under its sender."""
        with attached(self._context):
            return await super().handle_update_handler(input)

    @contextlib.contextmanager
    def step(self, status: Callable[[], RunStatusView]) -> Generator[None]:
        """Traces one turn of the loop; a turn that made no step, because the budget was used up, leaves no span.

        Args:
            status: reads the status of the run.
        """
        before = status()
        whose = Whose(self._whose.run_id, self._whose.agent, self._whose.tenant, before.step + 1)
        span = _start(genai.STEP, whose)
        try:
            with attached(trace.set_span_in_context(span)):
                yield
        except Exception as error:
            failed(span, error_kind(error))
            span.end()
            raise
        after = status()
        if after.step == before.step:
            return
        span.set_attribute(genai.USD, format_usd(parse_usd(after.spent.usd) - parse_usd(before.spent.usd)))
        if after.stop_reason is not None:
            span.set_attribute(genai.STOP_REASON, after.stop_reason)
        span.end()

    def _begun(self, request: RunRequest | None) -> Context:
        """Returns the context for all spans of the run; a run that continued as new keeps the one it was given."""
        info = workflow.info()
        if info.continued_run_id and trace.get_current_span().get_span_context().is_valid:
            return get_current()
        # Ended at once, because a span is exported when it ends. A span around the whole run would come days later, or
        # never if the run is terminated, and until then all spans below it would lack their parent.
        span = _start(
            genai.span_name(genai.INVOKE_AGENT, self._whose.agent),
            self._whose,
            {genai.OPERATION: genai.INVOKE_AGENT, **genai.metadata(request)},
        )
        span.end()
        return trace.set_span_in_context(span)

    def _broke_off(self, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            self._close({"status": "canceled"})
        elif isinstance(error, ApplicationError):
            self._close(error.details[0] if error.details else None, error_kind(error))
        elif workflow.is_failure_exception(error):
            self._close(None, error_kind(error))

    def _close(self, result: Any, problem: str | None = None) -> None:
        """Traces the end of the run, with its result as plain JSON where there is one."""
        span = _start(genai.span_name(genai.CLOSE_RUN, self._whose.agent), self._whose, _summary(result))
        if problem is not None:
            span.set_attribute(genai.STATUS, "failed")
            failed(span, problem)
        span.end()


def _start(name: str, whose: Whose, attributes: dict[str, Value] | None = None) -> Span:
    given = {**whose.attributes(), **(attributes or {})}
    return trace.get_tracer(SCOPE).start_span(name, attributes=given)


def _summary(result: Any) -> dict[str, Value]:
    """Picks what a trace may hold from a result: never the answer or the details."""
    if not isinstance(result, dict):
        return {}
    fields = cast("dict[str, Any]", result)
    spent = cast("dict[str, Any]", fields.get("spent") or {})
    found = {
        genai.STATUS: fields.get("status"),
        genai.STOP_REASON: fields.get("stop_reason"),
        genai.AGENT_VERSION: fields.get("agent_version"),
        genai.STEPS: fields.get("steps"),
        genai.USD: spent.get("usd"),
        genai.TOTAL_INPUT_TOKENS: spent.get("input_tokens"),
        genai.TOTAL_OUTPUT_TOKENS: spent.get("output_tokens"),
        genai.TOOL_CALLS: spent.get("tool_calls"),
        genai.SECONDS: spent.get("seconds"),
    }
    return {name: value for name, value in found.items() if isinstance(value, str | int)}


@contextlib.contextmanager
def attached(context: Context | None) -> Generator[None]:
    """Makes a context current for a block of workflow code."""
    if context is None:
        yield
        return
    token = attach(context)
    try:
        yield
    finally:
        # When a worker drops a run from memory, the block may end in another context, with nothing to restore.
        with contextlib.suppress(ValueError):
            token.var.reset(token)
