"""Reads what a refused start asked for: nobody vouches for it, but people look for their runs by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from temporalio.client import Client

from backstay.adapters.engine.executions import Execution
from backstay.contracts.run import RunRequest
from backstay.errors import CodecError


@dataclass(frozen=True, slots=True)
class Claim:
    """The words of a refused run's starter; None where nothing can be read."""

    agent: str | None = None
    tenant: str | None = None


async def claim_of(client: Client, refused: Execution) -> Claim:
    """Returns the claim of a start, from the first event of its history.

    Raises:
        RPCError: the engine does not know the run, or does not answer.
    """
    handle = client.get_workflow_handle(refused.workflow_id, run_id=refused.run_id)
    async for event in handle.fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        try:
            given = await refused.converter.decode(payloads)
        except CodecError:
            return Claim()
        return _claim(given[0]) if given else Claim()
    return Claim()


def _claim(given: Any) -> Claim:
    if not isinstance(given, Mapping):
        return Claim()
    written = cast("Mapping[str, object]", given)
    agent, tenant = (written.get(name, RunRequest.model_fields[name].default) for name in ("agent", "tenant"))
    return Claim(agent if isinstance(agent, str) else None, tenant if isinstance(tenant, str) else None)
