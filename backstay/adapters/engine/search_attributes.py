"""Registers the search attributes that runs write; without them Temporal retries a run's first task for ever."""

import asyncio
from collections.abc import Mapping
from enum import StrEnum
from typing import cast

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from backstay.adapters.engine.errors import rpc_error
from backstay.contracts.names import SEARCH_ATTRIBUTES
from backstay.errors import BackstayError, ConfigurationError

_TYPES = {
    "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "Int": IndexedValueType.INDEXED_VALUE_TYPE_INT,
    "Double": IndexedValueType.INDEXED_VALUE_TYPE_DOUBLE,
}
_OFF = "or run without: `BACKSTAY_SEARCH_ATTRIBUTES=off`"
_SEEN_SECONDS = 10.0


class Registration(StrEnum):
    """The state of one search attribute after `register`."""

    PRESENT = "present"
    ADDED = "added"


async def register(client: Client, *, mend: str) -> dict[str, Registration]:
    """Adds missing attributes to the client's namespace and waits until the server lists them; safe to repeat.

    Args:
        client: a client of the namespace.
        mend: tells the user what to do where the server refuses us.

    Raises:
        ConfigurationError: an attribute has another type, or the server does not let us list or add.
        UnreachableError: the server does not answer.
    """
    # We compare with the list ourselves: the server accepts a name that already exists with another type.
    known = await _listed(client, mend)
    missing = [name for name in SEARCH_ATTRIBUTES if name not in known]
    if missing:
        await _add(client, missing, mend)
    return {name: Registration.ADDED if name in missing else Registration.PRESENT for name in SEARCH_ATTRIBUTES}


async def missing_attributes(client: Client, *, mend: str) -> list[str]:
    """Returns the search attributes that the namespace lacks, and adds none.

    Args:
        client: a client of the namespace.
        mend: tells the user what to do where the server refuses us.

    Raises:
        ConfigurationError: an attribute has another type, or the server does not let us list them.
        UnreachableError: the server does not answer.
    """
    known = await _listed(client, mend)
    return [name for name in SEARCH_ATTRIBUTES if name not in known]


async def _listed(client: Client, mend: str) -> Mapping[str, int]:
    """Returns the types of the namespace's attributes by name, after checking the types of ours."""
    try:
        request = ListSearchAttributesRequest(namespace=client.namespace)
        known = dict((await client.operator_service.list_search_attributes(request)).custom_attributes)
    except RPCError as error:
        raise _refused(client, error, "the search attributes cannot be listed", mend) from error
    for name, kind in SEARCH_ATTRIBUTES.items():
        found = known.get(name, _TYPES[kind])
        if found != _TYPES[kind]:
            text = f"the search attribute `{name}` is {_named(found)}, and must be {kind}"
            raise ConfigurationError(text, mend=f"remove it from the namespace `{client.namespace}`, {_OFF}")
    return known


def _named(kind: int) -> str:
    """Spells a type as Temporal's own command does, such as `KeywordList`."""
    words = IndexedValueType.Name(cast("IndexedValueType.ValueType", kind)).removeprefix("INDEXED_VALUE_TYPE_")
    return "".join(word.capitalize() for word in words.split("_"))


async def _add(client: Client, missing: list[str], mend: str) -> None:
    wanted = {name: _TYPES[SEARCH_ATTRIBUTES[name]] for name in missing}
    try:
        request = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=wanted)
        await client.operator_service.add_search_attributes(request)
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:  # another worker was faster
            raise _refused(client, error, f"search attributes are missing ({', '.join(missing)})", mend) from error
    for _ in range(round(_SEEN_SECONDS / 0.1)):
        if set(missing) <= set(await _listed(client, mend)):
            return
        await asyncio.sleep(0.1)


def _refused(client: Client, error: RPCError, what: str, mend: str) -> BackstayError | RPCError:
    if error.status in (RPCStatusCode.UNAVAILABLE, RPCStatusCode.NOT_FOUND):
        return rpc_error(client, "", error)
    return ConfigurationError(f"{what}, and the server says: {error.message}", mend=f"{mend}, {_OFF}")
