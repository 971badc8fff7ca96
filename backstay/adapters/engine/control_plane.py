"""Finds the latest control plane, and says how the next one begins.

INVARIANT: where one has ended, the next knows that it was lost: it allows nothing but reads until somebody confirms.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict

from pydantic import ValidationError
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from backstay.contracts import names
from backstay.contracts.control import ControlInput, ControlView
from backstay.contracts.run import plain
from backstay.errors import CodecError
from backstay.kernel.control import InForce
from backstay.kernel.ledger_period import milliseconds

from .executions import RUNNING, Execution, described


@dataclass(frozen=True, slots=True)
class Found:
    """The latest control plane, running or ended.

    Attributes:
        execution: as Temporal describes it.
        view: what it shows; None where that cannot be read.
    """

    execution: Execution
    view: ControlView | None

    @property
    def serves(self) -> bool:
        """Tells whether it runs, and is a control plane."""
        return self.execution.state == RUNNING and self.execution.workflow_type == names.CONTROL_PLANE

    @property
    def known(self) -> InForce | None:
        """Returns what was last known: for one that was itself not confirmed, what it was told by the one before."""
        if self.view is None:
            return None
        state, last = self.view.state, self.view.last
        return state if state.confirmed or last is None else state.confirm(last)


class Start(TypedDict):
    """The options of a start of the control plane."""

    id: str
    task_queue: str
    id_conflict_policy: WorkflowIDConflictPolicy
    id_reuse_policy: WorkflowIDReusePolicy
    memo: dict[str, Any]
    static_summary: str


async def find(client: Client, patience: timedelta) -> Found | None:
    """Looks for the control plane; returns None where there never was one, or Temporal has forgotten it.

    Args:
        client: reads what is not encrypted.
        patience: how long the server has to answer.

    Raises:
        RPCError: Temporal does not answer, or refuses.
    """
    try:
        execution = await described(client, names.CONTROL_ID, timeout=patience)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND and not error.message.startswith("Namespace "):
            return None
        raise
    try:
        return Found(execution, ControlView.model_validate(await execution.memo_value(names.IN_FORCE)))
    except (ValidationError, CodecError):
        return Found(execution, None)


def beginning(before: Found | None) -> tuple[ControlInput, Start]:
    """Returns the input and the options of a start; its memo says at once what is in force.

    Args:
        before: the one that ended; None where there was none, and the start is refused if there was one after all.
    """
    given = ControlInput(lost=before is not None, last=before.known if before else None)
    view = ControlView(state=InForce(confirmed=not given.lost), last=given.last, at_ms=milliseconds(datetime.now(UTC)))
    reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE if given.lost else WorkflowIDReusePolicy.REJECT_DUPLICATE
    return given, Start(
        id=names.CONTROL_ID,
        task_queue=names.CONTROL_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=reuse,
        memo={names.IN_FORCE: plain(view)},
        static_summary="what is in force over all runs",
    )
