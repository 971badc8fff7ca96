"""Traces activities: one span for each request to the model, each verdict and each attempt at a call."""

import contextlib
from collections.abc import Callable, Generator

from opentelemetry.trace import INVALID_SPAN, Span, SpanKind
from temporalio import activity

from backstay.contracts.admission import Opening
from backstay.contracts.call import ActInput, Reconciled, ToolResult
from backstay.contracts.conversation import ModelReply, ModelRequest
from backstay.contracts.decision import ProposedCall
from backstay.contracts.policy import AuthorizeInput
from backstay.kernel.money import format_usd
from backstay.kernel.price import Price
from backstay.kernel.verdict import Verdict

from . import content, genai
from .genai import Value, Whose
from .tracer import error_kind, failed, switched_on, tracer

PROVIDER = "openai"
"""The API that is spoken. The request does not tell which company runs the server."""

_FINISHES = {"filtered": "content_filter"}


@contextlib.contextmanager
def chat(opening: Opening, request: ModelRequest, step: int) -> Generator[Callable[[ModelReply], None]]:
    """Traces one request to the model.

    Yields:
        a function to call with the reply.
    """
    attributes: dict[str, Value] = {
        genai.OPERATION: genai.CHAT,
        genai.PROVIDER: PROVIDER,
        genai.REQUEST_MODEL: request.model.name,
        genai.REQUEST_MAX_TOKENS: request.max_output_tokens,
        genai.AGENT_VERSION: opening.admission.agent_version,
        **content.asked(request),
    }
    name = genai.span_name(genai.CHAT, request.model.name)
    with _span(name, SpanKind.CLIENT, _whose(opening, step), attributes) as span:
        yield lambda reply: span.set_attributes(_answered(reply, request.model.price))


@contextlib.contextmanager
def execute_tool(opening: Opening, given: ActInput) -> Generator[Callable[[ToolResult], None]]:
    """Traces one attempt at a call.

    Yields:
        a function to call with the result.
    """
    attributes: dict[str, Value] = {
        genai.OPERATION: genai.EXECUTE_TOOL,
        genai.TOOL_NAME: given.tool,
        genai.TOOL_TYPE: "function",
        genai.TOOL_CALL_ID: given.call_id,
    }
    name = genai.span_name(genai.EXECUTE_TOOL, given.tool)
    with _span(name, SpanKind.INTERNAL, _whose(opening, given.step), attributes) as span:

        def ended(result: ToolResult) -> None:
            span.set_attributes({genai.CALL_STATUS: result.status, **content.executed(given, result)})
            if result.usd is not None:
                span.set_attribute(genai.USD, format_usd(result.usd))
            if result.verdict is not None:
                span.set_attributes(_judged(result.verdict))
            if result.status != "completed":
                failed(span, result.status)

        yield ended


@contextlib.contextmanager
def working_for(opening: Opening, step: int) -> Generator[None]:
    """Tags log lines in this block with the run, without a span of its own."""
    token = genai.WHOSE.set(_whose(opening, step))
    try:
        yield
    finally:
        genai.WHOSE.reset(token)


@contextlib.contextmanager
def reconcile(opening: Opening, given: ActInput) -> Generator[Callable[[Reconciled], None]]:
    """Traces the question to a tool whether a call happened.

    Yields:
        a function to call with the answer.
    """
    attributes: dict[str, Value] = {genai.TOOL_NAME: given.tool, genai.TOOL_CALL_ID: given.call_id}
    name = genai.span_name(genai.RECONCILE, given.tool)
    with _span(name, SpanKind.INTERNAL, _whose(opening, given.step), attributes) as span:
        yield lambda reconciled: span.set_attribute(genai.ANSWER, reconciled.answer)


@contextlib.contextmanager
def authorize(given: AuthorizeInput, call: ProposedCall) -> Generator[Callable[[Verdict], None]]:
    """Traces one verdict.

    Yields:
        a function to call with the verdict.
    """
    # The model made up the name of a tool that was not admitted: it may be any text, so it is left out.
    tool = call.tool if call.tool in given.tools else None
    attributes: dict[str, Value] = {genai.TOOL_CALL_ID: call.call_id}
    if tool is not None:
        attributes[genai.TOOL_NAME] = tool
    whose = Whose(given.run_id, given.agent, given.tenant, given.facts.step)
    with _span(genai.span_name(genai.AUTHORIZE, tool), SpanKind.INTERNAL, whose, attributes) as span:
        yield lambda verdict: span.set_attributes(_judged(verdict))


@contextlib.contextmanager
def _span(name: str, kind: SpanKind, whose: Whose, attributes: dict[str, Value]) -> Generator[Span]:
    token = genai.WHOSE.set(whose)
    if not switched_on():
        try:
            yield INVALID_SPAN
        finally:
            genai.WHOSE.reset(token)
        return
    common = {**whose.attributes(), genai.ATTEMPT: activity.info().attempt}
    try:
        with tracer().start_as_current_span(
            name,
            kind=kind,
            attributes={**common, **attributes},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except BaseException as error:
                failed(span, error_kind(error))
                raise
    finally:
        genai.WHOSE.reset(token)


def _whose(opening: Opening, step: int) -> Whose:
    return Whose(opening.run_id, opening.agent, opening.tenant, step)


def _answered(reply: ModelReply, price: Price | None) -> dict[str, Value]:
    finish = reply.decision.finish
    reason = "tool_call" if finish == "stop" and reply.decision.calls else _FINISHES.get(finish, finish)
    attributes: dict[str, Value] = {genai.FINISH_REASONS: [reason], **content.answered(reply, reason)}
    if reply.model:
        attributes[genai.RESPONSE_MODEL] = reply.model
    if reply.usage is not None:
        usage = reply.usage.counted()
        attributes[genai.INPUT_TOKENS] = usage.input_tokens
        attributes[genai.OUTPUT_TOKENS] = usage.output_tokens
        attributes[genai.CACHED_TOKENS] = usage.cached_tokens
        if price is not None:
            prices = [one for one in (price, reply.price) if one is not None]
            attributes[genai.USD] = format_usd(max(one.cost(usage) for one in prices))
    return attributes


def _judged(verdict: Verdict) -> dict[str, Value]:
    return {
        genai.VERDICT: verdict.outcome.value,
        genai.VERDICT_CODE: verdict.code.value,
        genai.VERDICT_RULES: list(verdict.rules),
    }
