"""Replays the history of a run against the present code, to tell whether a worker could take the run over."""

import re
from pathlib import Path

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer

from backstay.adapters.engine.errors import in_our_words
from backstay.adapters.payload.converter import data_converter
from backstay.app import folders
from backstay.app.workflows import sandbox
from backstay.contracts.names import (
    AGENT_RUN,
    BREAKERS,
    CONTROL_PLANE,
    EFFECT,
    INCIDENT_RUN,
    PROVIDER_QUOTA,
    TENANT_GRANTS,
    TENANT_LEDGER,
)
from backstay.errors import ConfigurationError

_MESSAGE = re.compile(r'message: "((?:[^"\\]|\\.)+)"')
_HOW = "save one with `temporal workflow show -w RUN --output json`"


async def history_of_run(client: Client, run_id: str) -> WorkflowHistory:
    """Fetches the history of a run; of a run that continued as new, the latest part.

    Raises:
        RunNotFoundError: there is no such run.
    """
    with in_our_words(client, run_id):
        return await client.get_workflow_handle(run_id).fetch_history()


def history_of_file(file: Path) -> WorkflowHistory:
    """Reads a saved history.

    Raises:
        ConfigurationError: the file cannot be read, or holds no history.
    """
    try:
        return WorkflowHistory.from_json(file.stem, file.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", where=str(file)) from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        detail = " ".join(str(error).split())[:200]
        raise ConfigurationError(f"is no saved history: {detail}", where=str(file), mend=_HOW) from None


async def first_difference(history: WorkflowHistory) -> str | None:
    """Returns where the present code first departs from a history; None if it does not.

    Raises:
        ConfigurationError: the history belongs to another workflow, or to none.
    """
    kind = _kind(history)
    known: dict[str, type] = {
        AGENT_RUN: folders.agent_run.AgentRun,
        EFFECT: folders.effect.Effect,
        BREAKERS: folders.breakers.Breakers,
        CONTROL_PLANE: folders.control_plane.ControlPlane,
        INCIDENT_RUN: folders.incident_sweep.Incident,
        TENANT_LEDGER: folders.tenant_ledger.TenantLedger,
        TENANT_GRANTS: folders.tenant_grants.TenantGrants,
        PROVIDER_QUOTA: folders.provider_quota.ProviderQuota,
    }
    if kind not in known:
        what = f"is the history of a `{kind}`" if kind else "holds no event that starts a workflow"
        raise ConfigurationError(
            f"`{history.workflow_id}` {what}", mend=f"only {', '.join(f'`{one}`' for one in known)} replay"
        )
    replayer = Replayer(workflows=[known[kind]], workflow_runner=sandbox(checked=True), data_converter=data_converter())
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    failure = result.replay_failure
    return None if failure is None else _words(str(failure)) or type(failure).__name__


def _words(text: str) -> str:
    """Picks the message out of the structure that Temporal's core prints around it."""
    inside = _MESSAGE.search(text)
    return inside[1].replace('\\"', '"') if inside else text


def _kind(history: WorkflowHistory) -> str:
    first = next(iter(history.events), None)
    if first is None or first.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
        return ""
    return first.workflow_execution_started_event_attributes.workflow_type.name
