"""Checks each part that a run needs, and names the mend where one is missing; nothing here costs anything."""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, GetSystemInfoRequest
from temporalio.client import Client
from temporalio.service import RPCError

from backstay.adapters.agent.catalog import Catalog, needs_key
from backstay.adapters.agent.folder import Agent
from backstay.adapters.agent.organisation import load_organisation
from backstay.adapters.engine.search_attributes import missing_attributes
from backstay.app.application import agents_of, policy_folders
from backstay.checks.rules import linted
from backstay.client.client import BackstayClient
from backstay.client.connection import connect
from backstay.errors import BackstayError, ConfigurationError, UnreachableError
from backstay.settings import Settings

OPENAI_URL = "https://api.openai.com/v1"
_PATIENCE_SECONDS = 5.0
_SETUP = "run `backstay setup`"
_SECRET_FIELDS = frozenset({"openai_api_key", "webhook_secret", "codec_keys"})
_TEMPORAL = ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE", "TEMPORAL_API_KEY")


@dataclass(frozen=True, slots=True)
class Check:
    """Holds what one check found.

    Attributes:
        name: the part that was checked.
        ok: whether the part works.
        detail: what was found.
        mend: what to do if it does not work.
        unreachable: whether the reason is that no Temporal server answers.
    """

    name: str
    ok: bool
    detail: str
    mend: str = ""
    unreachable: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """Holds one variable.

    Attributes:
        variable: the name.
        value: the value, with secrets masked.
        source: `environment` or `default`.
    """

    variable: str
    value: str
    source: str


def known_settings(settings: Settings, environment: Mapping[str, str] = os.environ) -> list[Known]:
    """Lists every setting in force; leaves out what is neither set nor has a default."""
    found: list[Known] = []
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        variable = alias if isinstance(alias, str) else f"BACKSTAY_{name.upper()}"
        value = getattr(settings, name)
        if value in (None, []):
            continue
        text = "(set)" if name in _SECRET_FIELDS else _text(value)
        found.append(Known(variable, text, "environment" if environment.get(variable) else "default"))
    for variable in _TEMPORAL:
        if environment.get(variable):
            text = "(set)" if variable == "TEMPORAL_API_KEY" else environment[variable]
            found.append(Known(variable, text, "environment"))
    return found


async def checks(settings: Settings) -> AsyncGenerator[Check]:
    """Checks all parts one after the other; skips what needs a part that is missing."""
    try:
        client = await connect()
    except BackstayError as error:
        yield _failed("temporal", error)
    else:
        for name, asked in _OF_SERVER.items():
            yield await _answered(name, asked(client, settings))
    agents: dict[str, Agent] = {}
    try:
        agents = agents_of(settings)
        await _catalogued(agents, settings)
        yield Check("agents", True, ", ".join(sorted(agents)))
    except ConfigurationError as error:
        yield _failed("agents", error)
    yield _rules(settings)
    for agent_names, base_url, variable, key in _endpoints(agents, settings):
        yield await _model(agent_names, base_url, variable, key)


async def _answered(name: str, asked: Awaitable[Check]) -> Check:
    try:
        return await asked
    except BackstayError as error:
        return _failed(name, error)
    except RPCError as error:
        mend = "check `TEMPORAL_NAMESPACE`, and what your key permits"
        return Check(name, False, f"the server says: {error.message}", mend)


def _failed(name: str, error: BackstayError) -> Check:
    if isinstance(error, ConfigurationError):
        place = f"{error.where}: " if error.where else ""
        return Check(name, False, place + error.what, error.mend or "")
    what, _, mend = str(error).partition("; ")
    return Check(name, False, what, mend, isinstance(error, UnreachableError))


async def _server(client: Client, settings: Settings) -> Check:
    info = await client.workflow_service.get_system_info(GetSystemInfoRequest())
    return Check("temporal", True, f"{client.service_client.config.target_host}, version {info.server_version}")


async def _namespace(client: Client, settings: Settings) -> Check:
    answer = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    days = answer.config.workflow_execution_retention_ttl.ToTimedelta().days
    return Check("namespace", True, f"{client.namespace}, keeps closed runs for {days} d")


async def _attributes(client: Client, settings: Settings) -> Check:
    if not settings.search_attributes:
        return Check("search attributes", True, "off: runs cannot be filtered")
    missing = await missing_attributes(client, mend=_SETUP)
    if missing:
        return Check("search attributes", False, f"missing: {', '.join(missing)}", _SETUP)
    return Check("search attributes", True, "all there")


async def _workers(client: Client, settings: Settings) -> Check:
    count = await BackstayClient(client, settings.task_queue).workers()
    detail = f"{count} on the task queue `{settings.task_queue}`"
    return Check("workers", count > 0, detail, "" if count else "start one with `backstay worker`")


_OF_SERVER: Mapping[str, Callable[[Client, Settings], Awaitable[Check]]] = {
    "temporal": _server,
    "namespace": _namespace,
    "search attributes": _attributes,
    "workers": _workers,
}


async def _catalogued(agents: Mapping[str, Agent], settings: Settings) -> None:
    """Checks agents as a worker does, except the model's key, which is a check of its own."""
    keyed = settings.model_copy(update={"openai_api_key": settings.openai_api_key or "none"})
    without = {name: agent for name, agent in agents.items() if not agent.config.model.api_key_env}
    await Catalog(without, keyed, load_organisation(policy_folders(settings))).close()


def _rules(settings: Settings) -> Check:
    try:
        found = linted(settings)
    except ConfigurationError as error:
        return _failed("policies", error)
    if found.problems:
        more = f", and {len(found.problems) - 1} more" if len(found.problems) > 1 else ""
        return Check("policies", False, f"{found.problems[0]}{more}", "see `backstay policy check`")
    return Check("policies", True, f"{found.rules} rules in force")


def _endpoints(agents: Mapping[str, Agent], settings: Settings) -> list[tuple[list[str], str, str, str | None]]:
    """Lists each model endpoint once: the agents that use it, its address, the variable of its key, and the key."""
    found: dict[tuple[str | None, str], list[str]] = {}
    for name, agent in sorted(agents.items()):
        model = agent.config.model
        base_url = model.base_url or settings.openai_base_url
        found.setdefault((base_url, model.api_key_env or "OPENAI_API_KEY"), []).append(name)
    keys = {"OPENAI_API_KEY": settings.openai_api_key}
    return [
        (names, base_url or "", variable, keys.get(variable) or os.environ.get(variable))
        for (base_url, variable), names in found.items()
    ]


async def _model(names: list[str], base_url: str, variable: str, key: str | None) -> Check:
    """Asks for the list of models, which is free; a server without such a list counts as present."""
    whom = f"for {', '.join(names)}"
    if not key and (needs_key(base_url or None) or variable != "OPENAI_API_KEY"):
        mend = "set it, or `OPENAI_BASE_URL` for a server that needs no key; `backstay dev` plays a scripted model"
        return Check("model", False, f"`{variable}` is not set, {whom}", mend)
    address = masked_url(base_url or OPENAI_URL)
    try:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with httpx2.AsyncClient(timeout=_PATIENCE_SECONDS) as client:
            status = (await client.get(f"{(base_url or OPENAI_URL).rstrip('/')}/models", headers=headers)).status_code
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        detail = f"{address} does not answer ({type(error).__name__}), {whom}"
        return Check("model", False, detail, "check `OPENAI_BASE_URL`, and the network")
    if status in (401, 403):
        return Check("model", False, f"{address} refuses the key ({status}), {whom}", f"check `{variable}`")
    if status >= 500:
        return Check("model", False, f"{address} answers with {status}, {whom}", "look at the model's server")
    return Check("model", True, f"{address} answers, {whom}")


def masked_url(url: str) -> str:
    """Hides the password that an address may hold."""
    parts = urlsplit(url)
    return url if "@" not in parts.netloc else parts._replace(netloc=f"…@{parts.netloc.rpartition('@')[2]}").geturl()


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ":".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(value, dict):
        return ",".join(f"{key}={amount}" for key, amount in value.items())  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, bool):
        return "on" if value else "off"
    return masked_url(str(value)) if "://" in str(value) else str(value)
