"""Reads the standing grants of tenants, and takes them back."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import Client

from backstay.adapters.engine.errors import in_our_words
from backstay.client.entities import entities, read
from backstay.contracts import names
from backstay.contracts.run import plain
from backstay.contracts.standing import GrantView, Revoking, StandingView
from backstay.errors import NoWorkerError
from backstay.kernel.keys import grants_id
from backstay.kernel.standing import GrantState

_PATIENCE = timedelta(seconds=5)


async def standing_grants(client: Client, tenant: str | None = None) -> list[GrantView]:
    """Lists standing grants, as their workflows answer or else as they last wrote it down; the latest given last.

    Args:
        client: the Temporal client.
        tenant: lists those of this tenant alone.

    Raises:
        UnreachableError: Temporal does not answer.
    """
    found: list[GrantView] = []
    now = datetime.now(UTC)
    with in_our_words(client, ""):
        for execution in await entities(client, names.TENANT_GRANTS, _ids(tenant)):
            view = await read(client, execution, names.GRANTS, StandingView)
            found += [_at(grant, now) for grant in (view.grants if view else ())]
    return sorted(found, key=lambda grant: (grant.tenant, grant.given, grant.id))


async def revoke_grant(client: Client, grant: GrantView, by: str, reason: str) -> GrantView:
    """Takes a grant back, and returns it as it is then: the next call asks again. Once more changes nothing.

    Raises:
        NoWorkerError: no worker serves the grants now, and so none uses them: try again.
        UnreachableError: Temporal does not answer.
    """
    workflow_id = grants_id(grant.tenant)
    handle: Any = client.get_workflow_handle(workflow_id)
    message = plain(Revoking(grant_id=grant.id, by=by, reason=reason))
    with in_our_words(client, workflow_id):
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds() + 1):
                answer = await handle.execute_update(names.REVOKE, message, rpc_timeout=_PATIENCE)
        except TimeoutError:
            raise NoWorkerError(workflow_id) from None
    return GrantView.model_validate(answer)


def _ids(tenant: str | None) -> Sequence[str] | None:
    return None if tenant is None else (grants_id(tenant),)


def _at(grant: GrantView, now: datetime) -> GrantView:
    """Returns a grant as it stands now: nobody is woken when one ends."""
    over = grant.state is not GrantState.REVOKED and datetime.fromisoformat(grant.until) <= now
    return grant.model_copy(update={"state": GrantState.EXPIRED}) if over else grant
