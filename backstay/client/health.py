"""Checks what starting runs needs: settings, the server and somebody who serves; needs no extra part of Backstay."""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, GetSystemInfoRequest
from temporalio.client import Client
from temporalio.service import RPCError

from backstay.adapters.engine.search_attributes import missing_attributes
from backstay.client.client import BackstayClient
from backstay.client.connection import connect
from backstay.client.control_plane import PlaneState, in_force, whom
from backstay.client.incidents import progress
from backstay.contracts import names
from backstay.errors import BackstayError, ConfigurationError, UnreachableError
from backstay.kernel.control import Incident
from backstay.settings import Settings

_SETUP = "run `backstay setup`"
_START_WORKER = "start one with `backstay worker`, or `backstay dev`"
_CONFIRM = "look at `backstay control status`, then run `backstay control confirm --reason WHY`"
_SHOWN = 3
_HELD = "effects and new decisions wait"
_SECRET_FIELDS = frozenset({"openai_api_key", "webhook_secret", "codec_keys", "audit_key"})
_TEMPORAL = ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE", "TEMPORAL_API_KEY")


@dataclass(frozen=True, slots=True)
class Check:
    """Holds what one check found.

    Attributes:
        name: the part that was checked.
        ok: whether the part works.
        detail: what was found.
        mend: what to do if it does not work; with `ok`, a warning.
        unreachable: whether the reason is that no Temporal server answers.
        doubtful: whether the part works, and somebody should look at it all the same.
    """

    name: str
    ok: bool
    detail: str
    mend: str = ""
    unreachable: bool = False
    doubtful: bool = False


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


async def server_checks(settings: Settings) -> AsyncGenerator[Check]:
    """Checks the server and what it must have, one after the other; stops where none answers."""
    try:
        client = await connect()
    except BackstayError as error:
        yield failed("temporal", error)
    else:
        for name, asked in _OF_SERVER.items():
            yield await _answered(name, asked(client, settings))


def failed(name: str, error: BackstayError) -> Check:
    """Returns the check of a part that cannot be used."""
    if isinstance(error, ConfigurationError):
        place = f"{error.where}: " if error.where else ""
        return Check(name, False, place + error.what, error.mend or "")
    what, _, mend = str(error).partition("; ")
    return Check(name, False, what, mend, isinstance(error, UnreachableError))


def masked_url(url: str) -> str:
    """Hides the password that an address may hold."""
    parts = urlsplit(url)
    return url if "@" not in parts.netloc else parts._replace(netloc=f"…@{parts.netloc.rpartition('@')[2]}").geturl()


async def _answered(name: str, asked: Awaitable[Check]) -> Check:
    try:
        return await asked
    except BackstayError as error:
        return failed(name, error)
    except RPCError as error:
        mend = "check `TEMPORAL_NAMESPACE`, and what your key permits"
        return Check(name, False, f"the server says: {error.message}", mend)


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
    return Check("workers", count > 0, detail, "" if count else _START_WORKER)


async def _control(client: Client, settings: Settings) -> Check:
    """Checks that the control plane was not lost and is served; warns of what it holds back."""
    plane = await in_force(client)
    name, state = "control plane", plane.state_in_force
    if plane.state is PlaneState.MISSING:
        return Check(name, True, "none yet: the first worker starts it")
    if plane.state is PlaneState.UNREADABLE:
        mend = f"look at the workflow `{names.CONTROL_ID}`; where it is none of Backstay's, terminate it"
        return Check(name, False, f"what is in force cannot be read, so {_HELD}", mend)
    if state is None or plane.lost:
        who = "nobody has confirmed what is in force" if state else "no worker has started it again"
        return Check(name, False, f"it was lost, and {who}: {_HELD}", _CONFIRM)
    if not await BackstayClient(client, names.CONTROL_QUEUE).workers():
        detail = f"no worker serves the task queue `{names.CONTROL_QUEUE}`, so it obeys no order"
        return Check(name, False, detail, _START_WORKER)
    held = [f"{one.scope} is stopped by {one.told.by}: {one.told.reason}" for one in state.stops]
    held += [words for one in state.stops if one.engine and (words := await _engine(client, one))]
    held += [f"{one.tool} is blocked {whom(one)} by {one.told.by}: {one.told.reason}" for one in state.blocks]
    if not held:
        return Check(name, True, "confirmed, nothing is stopped or blocked")
    more = f"; and {len(held) - _SHOWN} more" if len(held) > _SHOWN else ""
    return Check(name, True, "; ".join(held[:_SHOWN]) + more, "see `backstay control status`", doubtful=True)


async def _engine(client: Client, incident: Incident) -> str:
    """Says which queues the engine holds for an incident; nothing where it holds none."""
    view = await progress(client, incident.id)
    held = view.engine.held if view and view.engine else []
    queues = ", ".join(one.queue for one in held)
    return f"the engine holds {queues} for the incident {incident.id}" if queues else ""


_OF_SERVER: Mapping[str, Callable[[Client, Settings], Awaitable[Check]]] = {
    "temporal": _server,
    "namespace": _namespace,
    "search attributes": _attributes,
    "workers": _workers,
    "control plane": _control,
}


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ":".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(value, dict):
        return ",".join(f"{key}={amount}" for key, amount in value.items())  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, bool):
        return "on" if value else "off"
    return masked_url(str(value)) if "://" in str(value) else str(value)
