"""A server over real HTTP that plays model servers: it refuses what each of them refuses, in its own words.

A run asks three times: the first reply holds two calls and reasoning, the second a text, a call and perhaps reasoning,
the third the answer, made of what the calls brought.
"""

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from .profiles import PROFILES, Profile

ASKED = ((1, 2), (3,))
READ, WRITTEN, THOUGHT = 100, 20, 7


class Servers:
    """All model servers on one port, each below its name.

    Attributes:
        refused: the refusals of each server: the API, the status and the body.
        bodies: the requests that each server took.
    """

    def __init__(self) -> None:
        self.refused: dict[str, list[tuple[str, int, str]]] = {}
        self.bodies: dict[str, list[dict[str, Any]]] = {}
        self.address = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**22)
        app.router.add_post("/{place}/{name}/v1/{api:.+}", self._answer)
        self._runner = web.AppRunner(app, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.address = "http://127.0.0.1:%d" % self._runner.addresses[0][1]  # noqa: UP031
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, incoming: web.Request) -> web.Response:
        profile, path = PROFILES[incoming.match_info["name"]], incoming.match_info["api"]
        api = "chat" if path == "chat/completions" else "responses"
        place = f"{incoming.match_info['place']}/{profile.name}/{api}"
        body: dict[str, Any] = await incoming.json()
        for rule in profile.chat if api == "chat" else profile.responses:
            if problem := rule(body):
                status, said = profile.words(problem)
                self.refused.setdefault(place, []).append((api, status, json.dumps(said)))
                return web.json_response(said, status=status)
        self.bodies.setdefault(place, []).append(body)
        results = _results(body)
        turn = {0: 0, 2: 1, 3: 2}[len(results)]
        reply = _chat(profile, turn, results) if api == "chat" else _response(profile, turn, results, body)
        return web.json_response(reply)


def _results(body: Mapping[str, Any]) -> list[str]:
    if "messages" in body:
        return [message["content"] for message in body["messages"] if message["role"] == "tool"]
    return [item["output"] for item in body["input"] if item.get("type") == "function_call_output"]


def _answered(results: list[str]) -> str:
    return "read " + ", ".join(result.split()[1] for result in results)


def _chat(profile: Profile, turn: int, results: list[str]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "I look once more." if turn else None}
    message |= {"refusal": None, "annotations": None, "audio": None, "function_call": None}
    if turn < len(ASKED):
        message["tool_calls"] = [
            {
                "id": profile.id(turn, at),
                "type": "function",
                "index": at,
                "function": {"name": "lookup", "arguments": json.dumps({"key": key})},
                **profile.call_extra(turn, at),
            }
            for at, key in enumerate(ASKED[turn])
        ]
        message |= profile.message_extra(turn)
    else:
        message["content"] = _answered(results)
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if turn < len(ASKED) else "stop"}
    return {
        "id": "r",
        "object": "chat.completion",
        "model": profile.model,
        "choices": [choice],
        "usage": _usage(profile),
    }


def _usage(profile: Profile) -> dict[str, Any]:
    """Bills 100 tokens in and 20 out, 7 of them reasoning, in the words of the server."""
    written = WRITTEN if profile.usage == "inside" else WRITTEN - THOUGHT
    details = None if profile.usage == "total" else {"reasoning_tokens": THOUGHT}
    return {
        "prompt_tokens": READ,
        "completion_tokens": written,
        "total_tokens": READ + WRITTEN,
        "prompt_tokens_details": None,
        "completion_tokens_details": details,
    }


def _response(profile: Profile, turn: int, results: list[str], body: Mapping[str, Any]) -> dict[str, Any]:
    output: list[dict[str, Any]] = []
    text = {0: None, 1: "I look once more."}.get(turn, _answered(results))
    for at, key in enumerate(ASKED[turn] if turn < len(ASKED) else ()):
        output += profile.reasoning(f"rs_{turn}{at}", "include" in body)
        if text:
            output.append(_said(text))
        call = {"type": "function_call", "id": f"fc_{turn}{at}", "call_id": profile.id(turn, at), "status": "completed"}
        output.append({**call, "name": "lookup", "arguments": json.dumps({"key": key})})
    if turn == len(ASKED):
        output.append(_said(str(text)))
    usage = {"input_tokens": READ, "output_tokens": WRITTEN, "total_tokens": READ + WRITTEN}
    return {
        "id": "r",
        "object": "response",
        "model": profile.model,
        "status": "completed",
        "output": output,
        "usage": usage,
    }


def _said(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": None}]
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
