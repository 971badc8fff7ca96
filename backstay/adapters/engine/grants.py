"""Asks the standing grants of tenants; where they do not answer, people are asked."""

import asyncio
from collections import defaultdict
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from backstay.contracts import names
from backstay.contracts.run import plain
from backstay.contracts.standing import GiveInput, GiveResult, StandingInput, UseResult, WantedUse
from backstay.kernel.approval import Refusal
from backstay.kernel.keys import grants_id
from backstay.kernel.standing import StandingGrant, Wanted

from .entities import ANSWER, NO_ANSWER, Entity, updated


class Grants:
    """The standing grants of a namespace, through a Temporal client; each tenant's are asked one thing at a time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._turns = defaultdict[str, asyncio.Lock](asyncio.Lock)

    async def give(self, tenant: str, grant: StandingGrant) -> Refusal | None:
        """Adds a grant; returns why it does not stand, or None. The same once more changes nothing."""
        entity = Entity(
            names.TENANT_GRANTS, grants_id(tenant), StandingInput(tenant=tenant), f"standing grants of tenant {tenant}"
        )
        try:
            return (await updated(self._client, entity, names.GIVE, GiveInput(grant=grant), GiveResult)).refusal
        except NO_ANSWER:
            text = f"the standing grants of tenant {tenant} do not answer: try again, or answer without `grant`"
            return Refusal("GrantsUnanswered", text)

    async def use(self, tenant: str, wanted: Wanted) -> UseResult:
        """Draws a use; there is none where the tenant has no grants, and a reason where they do not answer."""
        handle: Any = self._client.get_workflow_handle(grants_id(tenant))
        try:
            async with asyncio.timeout(ANSWER.total_seconds()), self._turns[tenant]:
                given = plain(WantedUse(wanted=wanted))
                return await handle.execute_update(names.USE, given, result_type=UseResult, rpc_timeout=ANSWER)
        except NO_ANSWER as error:
            if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
                return UseResult()
            return UseResult(trouble=f"the standing grants of tenant {tenant} do not answer")
