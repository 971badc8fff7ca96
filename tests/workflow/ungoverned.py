"""An agent loop without a runtime around it: think, call whatever the model says, repeat. For comparison only."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import openai

PRICE_IN, PRICE_OUT = 0.25 / 1e6, 2.00 / 1e6


@dataclass(slots=True)
class Trace:
    """Keeps what the loop did until it answered, or until the test lost patience."""

    turns: int = 0
    calls: list[str] = field(default_factory=list[str])
    usd: float = 0.0
    answer: str | None = None


async def ungoverned(base_url: str, goal: str, tools: Mapping[str, Callable[..., Any]], patience: int = 40) -> Trace:
    """Runs the loop on a model until it answers; `patience` turns are the test's, the loop itself has no end."""
    trace = Trace()
    messages: list[Any] = [{"role": "user", "content": goal}]
    offered: list[Any] = [
        {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in tools
    ]
    async with openai.AsyncOpenAI(api_key="none", base_url=base_url, max_retries=0) as client:
        while trace.answer is None and trace.turns < patience:
            trace.turns += 1
            reply = await client.chat.completions.create(model="any", messages=messages, tools=offered)
            if reply.usage:
                trace.usd += reply.usage.prompt_tokens * PRICE_IN + reply.usage.completion_tokens * PRICE_OUT
            message = reply.choices[0].message
            messages.append(message.model_dump(exclude_none=True))
            if not message.tool_calls:
                trace.answer = message.content or ""
            for call in message.tool_calls or []:
                function: Any = getattr(call, "function", None)
                trace.calls.append(function.name)
                result = tools[function.name](**json.loads(function.arguments)) if function.name in tools else "?"
                messages.append({"role": "tool", "tool_call_id": call.id, "content": str(result)})
    return trace
