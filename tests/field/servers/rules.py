"""The rules of model servers: each reads a request and returns what is wrong with it, and where."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """The words of a refusal; `at` is the place that some servers name beside them."""

    words: str
    at: tuple[str | int, ...] = ()


Rule = Callable[[Body], Problem | None]

CHAT = {"model", "messages", "tools", "tool_choice", "parallel_tool_calls", "max_tokens", "max_completion_tokens"}
RESPONSES = {"model", "input", "instructions", "tools", "max_output_tokens", "parallel_tool_calls", "store", "include"}


def messages(body: Body, role: str) -> Iterator[tuple[int, dict[str, Any]]]:
    return ((at, message) for at, message in enumerate(body["messages"]) if message["role"] == role)


def only(fields: set[str], words: str) -> Rule:
    """No other field stands in the body; `words` name the one that does."""

    def rule(body: Body) -> Problem | None:
        unknown = sorted(set(body) - fields)
        return Problem(words.format(unknown[0]), (unknown[0],)) if unknown else None

    return rule


def only_in(role: str, fields: set[str], words: str) -> Rule:
    """No other field stands in the messages of a role."""

    def rule(body: Body) -> Problem | None:
        for at, message in messages(body, role):
            if unknown := sorted(set(message) - fields):
                return Problem(words.format(unknown[0], at=at), ("messages", at, role, unknown[0]))
        return None

    return rule


def ids(grammar: str, words: str) -> Rule:
    """The ids of calls have a grammar, and each result names the call that it answers, in the order of the calls."""

    def rule(body: Body) -> Problem | None:
        open_ids: list[str] = []
        for message in body["messages"]:
            for call in message.get("tool_calls") or ():
                if not re.fullmatch(grammar, call["id"]):
                    return Problem(words.format(call["id"]))
                open_ids.append(call["id"])
            if message["role"] == "tool" and message["tool_call_id"] != open_ids.pop(0):
                return Problem("No tool call with id {} in the message before".format(message["tool_call_id"]))
        return Problem("An assistant message with 'tool_calls' must be followed by tool messages") if open_ids else None

    return rule


def alternating(words: str) -> Rule:
    """A user speaks only after the system or the assistant."""

    def rule(body: Body) -> Problem | None:
        roles = [message["role"] for message in body["messages"]]
        for before, role in itertools.pairwise(roles):
            if role == "user" and before in ("user", "tool"):
                return Problem(words.format(role, before))
        return None

    return rule


def content(fits: Callable[[object], bool], words: str) -> Rule:
    """The content of a message of calls alone has a form."""

    def rule(body: Body) -> Problem | None:
        for at, message in messages(body, "assistant"):
            if not fits(message.get("content", "absent")):
                return Problem(words.format(at=at))
        return None

    return rule


def echo(field: str, sent: Mapping[int, Any], words: str) -> Rule:
    """The n-th message of the assistant carries a field as it was sent."""

    def rule(body: Body) -> Problem | None:
        for turn, (at, message) in enumerate(messages(body, "assistant")):
            if turn in sent and message.get(field, "absent") != sent[turn]:
                return Problem(words.format(at=at))
        return None

    return rule


def signatures(words: str) -> Rule:
    """The first call of each message carries the signature that it came with."""

    def rule(body: Body) -> Problem | None:
        for turn, (at, message) in enumerate(messages(body, "assistant")):
            call = message["tool_calls"][0]
            if call.get("extra_content") != {"google": {"thought_signature": f"S{turn}"}}:
                return Problem(words.format(call["function"]["name"], at))
        return None

    return rule


def named_results(words: str) -> Rule:
    """Each result names its tool."""

    def rule(body: Body) -> Problem | None:
        for at, message in messages(body, "tool"):
            if not message.get("name"):
                return Problem(words.format(at))
        return None

    return rule


def no_nulls(body: Body) -> Problem | None:
    """No item of the Responses API carries a null."""
    for at, item in enumerate(body["input"]):
        for name, value in item.items():
            if value is None:
                return Problem(f"Invalid type for 'input[{at}].{name}': got null instead.", ("input", at, name))
    return None


def plain_reasoning(body: Body) -> Problem | None:
    """A reasoning item carries what may be sent, and its summary."""
    allowed = {"type", "id", "summary", "content", "encrypted_content"}
    for at, item in enumerate(body["input"]):
        if item.get("type") == "reasoning" and (unknown := sorted(set(item) - allowed)):
            return Problem(f"Unknown parameter: 'input[{at}].{unknown[0]}'.", ("input", at, unknown[0]))
        if item.get("type") == "reasoning" and "summary" not in item:
            return Problem(f"Missing required parameter: 'input[{at}].summary'.", ("input", at, "summary"))
    return None


def items(*kinds: str) -> Rule:
    """The items stand in the order of the replies: `kinds` has the type of each, with its id where it has one.

    Only the user's side may add to them, at the end.
    """

    def rule(body: Body) -> Problem | None:
        found = [_kind(item) for item in body["input"]]
        said = [kind for kind in found if kind != "user"]
        if said != list(kinds[: len(said)]):
            return Problem(f"Item was provided without its required following item: {' '.join(found)}")
        return None

    return rule


def whole_items(words: str) -> Rule:
    """Each item but the user's has a type, an id and, where the assistant speaks, a status."""

    def rule(body: Body) -> Problem | None:
        for at, item in enumerate(body["input"]):
            needed = [] if item.get("role") == "user" else ["type", "id"]
            needed += ["status"] if item.get("role") == "assistant" else []
            for name in needed:
                if name not in item:
                    return Problem(words, ("input", at, name))
        return None

    return rule


def typed_items(words: str) -> Rule:
    """Each item is known by its type, and one of reasoning has a text."""

    def rule(body: Body) -> Problem | None:
        for item in body["input"]:
            kind = item.get("type")
            texts = item.get("content") or [{}]
            known = kind in ("message", "function_call", "function_call_output") or item.get("role") == "user"
            if not known and not (kind == "reasoning" and isinstance(texts[0].get("text"), str)):
                return Problem(words)
        return None

    return rule


def _kind(item: Mapping[str, Any]) -> str:
    kind = item.get("type") or "message"
    if kind == "message":
        return "message" if item["role"] == "assistant" else item["role"]
    return f"{kind}:{item.get('id') if kind == 'reasoning' else item['call_id']}"
