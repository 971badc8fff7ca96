"""Puts what was said into spans: only where the environment asks for it, and freed of the secrets of tools.

Names and shapes are those of the OpenTelemetry GenAI conventions. A span has what came since the model's last reply:
earlier words stand in the spans before it.
"""

import contextlib
import json
import os
from collections.abc import Callable, Generator, Sequence
from typing import Any

from backstay.contracts.call import ActInput, ToolResult
from backstay.contracts.conversation import Decided, Item, ModelReply, ModelRequest, Observed, Said

from .genai import Value
from .tracer import switched_on

VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
CHARACTERS = 4_000
"""The most of one text; the rest is cut off."""
ITEMS = 50
"""The most items of one request; the latest are kept."""
_ASKS = ("true", "span_only", "span_and_event")

Scrub = Callable[[str], str]
_scrubbing: list[Scrub] = []
"""Frees texts of secrets; without it, no span has any text."""


@contextlib.contextmanager
def scrubbed_content(scrub: Scrub) -> Generator[None]:
    """Lets spans have texts while the block runs, freed of secrets by `scrub`."""
    _scrubbing.append(scrub)
    try:
        yield
    finally:
        _scrubbing.remove(scrub)


def asked(request: ModelRequest) -> dict[str, Value]:
    """Returns what the model is asked, as attributes; none where nothing asks for content."""
    if not _wanted():
        return {}
    replies = [place for place, item in enumerate(request.conversation) if isinstance(item, Decided)]
    news = request.conversation[replies[-1] + 1 if replies else 0 :][-ITEMS:]
    first = {} if replies else {"gen_ai.system_instructions": _json([_text(request.instructions)])}
    return {**first, "gen_ai.input.messages": _json([_message(item) for item in news])}


def answered(reply: ModelReply, reason: str) -> dict[str, Value]:
    """Returns what the model has replied, as attributes; none where nothing asks for content.

    Args:
        reply: the reply.
        reason: why it ended, by the conventions.
    """
    if not _wanted():
        return {}
    decision = reply.decision
    parts = [_text(decision.text)] if decision.text else []
    for call in decision.calls:
        named = {"id": call.call_id, "name": _clean(call.tool), "arguments": _clean(call.arguments)}
        parts.append({"type": "tool_call", **named})
    return {"gen_ai.output.messages": _json([{"role": "assistant", "parts": parts, "finish_reason": reason}])}


def executed(given: ActInput, result: ToolResult) -> dict[str, Value]:
    """Returns the result of a call, and its arguments where people changed them; none where nothing asks for content.

    Those that the model wrote stand in the span of its reply.
    """
    if not _wanted():
        return {}
    edited = {} if given.arguments is None else {"gen_ai.tool.call.arguments": _clean(given.arguments)}
    return {**edited, "gen_ai.tool.call.result": _clean(result.text)}


def _wanted() -> bool:
    return bool(_scrubbing) and switched_on() and os.environ.get(VARIABLE, "").strip().lower() in _ASKS


def _message(item: Item) -> dict[str, Any]:
    match item:
        case Said():
            return {"role": "user", "parts": [_text(item.text)]}
        case Observed():
            told = {"type": "tool_call_response", "id": item.call_id, "response": _clean(item.text)}
            return {"role": "tool", "parts": [told]}
        case Decided():
            return {"role": "assistant", "parts": [_text(item.decision.text or "")]}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "content": _clean(text)}


def _clean(text: str) -> str:
    # Cut afterwards: a half of a secret would not be found.
    for scrub in _scrubbing:
        text = scrub(text)
    return text[:CHARACTERS]


def _json(parts: Sequence[dict[str, Any]]) -> str:
    return json.dumps(parts, ensure_ascii=False)
