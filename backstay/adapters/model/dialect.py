"""Tells how a model server wants the wire: by its host, by the model's name, and by what agent.toml says."""

import functools
import re
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import urlsplit

from backstay.contracts.admission import Api
from backstay.contracts.problems import Contract

OPENAI_HOST = "api.openai.com"

Limit = Literal["max_tokens", "max_completion_tokens"]
Empty = Literal["empty", "null"]
Notes = Literal["joined", "separate"]
Name = Literal[
    "auto",
    "openai",
    "azure",
    "mistral",
    "gemini",
    "deepseek",
    "openrouter",
    "groq",
    "xai",
    "vllm",
    "ollama",
    "llama.cpp",
]


@dataclass(frozen=True, slots=True)
class Dialect:
    """The shape of a request, so far as servers differ; the defaults are what most servers take.

    Attributes:
        output_limit: the name of the output limit in the chat API.
        include: asks the Responses API for encrypted reasoning, which a later request can repeat.
        store: tells the Responses API to store nothing.
        strict: says of each tool that its schema is not strict; the chat API takes that for granted.
        parallel_tool_calls: allows or forbids several calls in one reply; None leaves it to the server.
        tool_name: repeats the tool's name in the message that holds its result.
        empty_content: the content of an assistant's message of calls alone.
        notes: joins a note of the runtime to the result or text before it, so that roles alternate, or sends it as a
            `user` message of its own.
        whole_items: repeats the items of the Responses API with ids and a status.
        ids: the grammar of a call's id, as a regular expression.
        reasoning_content: gives every assistant's message that field, empty where the model sent none.
        withheld: fields of replies that the server does not want back.
    """

    output_limit: Limit = "max_tokens"
    include: bool = True
    store: bool = True
    strict: bool = True
    parallel_tool_calls: bool | None = None
    tool_name: bool = False
    empty_content: Empty = "empty"
    notes: Notes = "joined"
    whole_items: bool = False
    ids: str = "[!-~]{1,128}"
    reasoning_content: bool = False
    withheld: frozenset[str] = frozenset()


class Parameters(Contract):
    """The table `[model.parameters]` of agent.toml: how the server wants the wire, where its dialect is not right.

    Attributes:
        output_limit: the name of the output limit; chat.
        include: asks for encrypted reasoning; Responses.
        store: sends `store: false`; Responses.
        strict: sends `strict: false` with each tool.
        parallel_tool_calls: allows or forbids several calls in one reply; left out by default.
        tool_name: repeats the tool's name beside its result; chat.
        empty_content: the content of a message of calls alone; chat.
        notes: joins notes of the runtime to the text before them, or sends each as a message.
    """

    output_limit: Limit | None = None
    include: bool | None = None
    store: bool | None = None
    strict: bool | None = None
    parallel_tool_calls: bool | None = None
    tool_name: bool | None = None
    empty_content: Empty | None = None
    notes: Notes | None = None


@dataclass(frozen=True, slots=True)
class Wire:
    """The wire by agent.toml: a dialect by its name, and parameters that win over it."""

    dialect: Name = "auto"
    parameters: Parameters = field(default_factory=Parameters)


_OPENAI = Dialect(
    output_limit="max_completion_tokens", empty_content="null", notes="separate", ids="[A-Za-z0-9_-]{1,40}"
)

DIALECTS: dict[Name, Dialect] = {
    "auto": Dialect(),
    "openai": _OPENAI,
    "azure": _OPENAI,
    "mistral": Dialect(ids="[A-Za-z0-9]{9}"),
    "gemini": Dialect(tool_name=True),
    "deepseek": Dialect(),
    "openrouter": Dialect(empty_content="null", whole_items=True),
    "groq": Dialect(include=False, store=False),
    "xai": Dialect(),
    "vllm": Dialect(),
    "ollama": Dialect(),
    "llama.cpp": Dialect(),
}

HOSTS: dict[str, Name] = {
    OPENAI_HOST: "openai",
    ".api.openai.com": "openai",
    ".openai.azure.com": "azure",
    ".services.ai.azure.com": "azure",
    ".cognitiveservices.azure.com": "azure",
    "models.github.ai": "azure",
    "models.inference.ai.azure.com": "azure",
    "api.mistral.ai": "mistral",
    "generativelanguage.googleapis.com": "gemini",
    "api.deepseek.com": "deepseek",
    "openrouter.ai": "openrouter",
    "api.groq.com": "groq",
    "api.x.ai": "xai",
}
"""Known hosts; one that begins with a dot stands for all below it."""

# OpenAI's reasoning models, behind whatever address, know only the new name of the limit.
_NEWEST = re.compile(r"(?:.*/)?(?:ft:)?(?:o[1-9](?!\d)|gpt-(?:[5-9]|[1-9]\d)(?!\d))")
# Models of others, which OpenAI's own hosts serve too, know only the old one.
_OTHERS = re.compile(
    r"(?:.*/)?(?:mistral|ministral|codestral|llama|meta-|deepseek|phi|cohere|command|grok|jamba|ai21)", re.I
)
# These models refuse a request for encrypted reasoning; all others accept or ignore it.
_WITHOUT_REASONING = re.compile(r"(?:.*/)?(?:ft:)?(?:gpt-3|gpt-4|chatgpt-4|gpt-5-chat)")


def host_of(base_url: str | None) -> str:
    """Returns the host of a server's address; without one, OpenAI's own."""
    return (urlsplit(base_url).hostname or "") if base_url else OPENAI_HOST


def known(host: str) -> Name:
    """Returns the name of a host's dialect; `auto` where nobody knows the host."""
    host = host.lower().rstrip(".")
    for end, name in HOSTS.items():
        if host == end or (end.startswith(".") and host.endswith(end)):
            return name
    return "auto"


@functools.lru_cache(maxsize=256)
def dialect_of(host: str, model: str, api: Api, wire: Wire) -> Dialect:
    """Returns the dialect to ask a model in.

    Args:
        host: the server's host.
        model: the model's name.
        api: the API that is asked.
        wire: what agent.toml says.
    """
    name = known(host) if wire.dialect == "auto" else wire.dialect
    dialect = DIALECTS[name]
    if name == "auto" and _NEWEST.match(model):
        dialect = replace(dialect, output_limit="max_completion_tokens")
    if name == "azure" and _OTHERS.match(model):
        dialect = replace(dialect, output_limit="max_tokens")
    if _WITHOUT_REASONING.match(model):
        dialect = replace(dialect, include=False)
    if api == "chat":
        dialect = replace(dialect, strict=False)
    return replace(dialect, **wire.parameters.model_dump(exclude_none=True))
