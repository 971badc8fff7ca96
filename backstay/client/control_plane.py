"""Reads what the control plane has in force, and gives it orders; reading needs no worker."""

import asyncio
import contextlib
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from backstay.adapters.engine.control import unencrypted
from backstay.adapters.engine.control_plane import Found, beginning, find
from backstay.adapters.engine.entities import retrieve_error
from backstay.adapters.engine.errors import in_our_words
from backstay.adapters.engine.executions import Execution, described
from backstay.contracts import names
from backstay.contracts.control import (
    AccessOrder,
    ConfirmOrder,
    ControlView,
    LiftOrder,
    LimitOrder,
    Order,
    StopOrder,
)
from backstay.contracts.run import plain
from backstay.errors import ControlUnansweredError, OrderRefusedError
from backstay.kernel.control import Block, InForce

_PATIENCE = timedelta(seconds=10)
_PAUSE_SECONDS = 0.2
_MOVED = (RPCStatusCode.NOT_FOUND, RPCStatusCode.ABORTED, RPCStatusCode.RESOURCE_EXHAUSTED)
"""It ended, continued as new, or has as many updates as it may: the order was not taken, and is given again."""
_UNANSWERED = (RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED)
_ENDED_MEANWHILE = "AcceptedUpdateCompletedWorkflow"


class PlaneState(StrEnum):
    """Shows the state of the control plane."""

    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"
    ENDED = "ended"
    UNREADABLE = "unreadable"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Plane:
    """The control plane as it stands.

    Attributes:
        state: `confirmed`, or why workers hold everything but reads: it was lost and is `unconfirmed`, it has `ended`
            and no worker has started it again, or it is `unreadable`; `missing` until the first worker starts it.
        view: what it shows, or showed when it ended; None where that is not known.
        last: what was known before it was lost, and comes into force with `confirm`; None where nothing was lost, or
            nothing is known.
        since: when it was started or lost or, where it has ended, when it ended; None where there is none.
    """

    state: PlaneState
    view: ControlView | None = None
    last: InForce | None = None
    since: datetime | None = None

    @property
    def state_in_force(self) -> InForce | None:
        """Returns what is in force; None where that is not known, or nothing is there to have it in force."""
        return None if self.view is None or self.state is PlaneState.ENDED else self.view.state

    @property
    def lost(self) -> bool:
        """Tells whether workers hold everything but reads until somebody confirms."""
        return self.state in (PlaneState.UNCONFIRMED, PlaneState.ENDED)


async def in_force(client: Client) -> Plane:
    """Returns what is in force over all runs, as workers read it.

    Raises:
        UnreachableError: Temporal does not answer.
    """
    with in_our_words(client, names.CONTROL_ID):
        found = await find(unencrypted(client), _PATIENCE)
    if found is None:
        return Plane(PlaneState.MISSING)
    one = found.execution
    if not one.open:
        return Plane(PlaneState.ENDED, found.view, found.known, one.closed_at)
    since = await _begun(client, one)
    if found.view is None or not found.serves:
        return Plane(PlaneState.UNREADABLE, since=since)
    state = PlaneState.CONFIRMED if found.view.state.confirmed else PlaneState.UNCONFIRMED
    return Plane(state, found.view, found.view.last, since)


def whom(block: Block) -> str:
    """Says for whom a block holds, such as `for agent support, tenant acme`."""
    parts = [f"{kind} {name}" for kind, name in (("agent", block.agent), ("tenant", block.tenant)) if name is not None]
    return f"for {', '.join(parts)}" if parts else "for all"


async def _begun(client: Client, link: Execution) -> datetime:
    """Returns when the first link of a chain was started; where Temporal has forgotten it, when this one was."""
    if link.first_run_id not in ("", link.run_id):
        with contextlib.suppress(RPCError):
            return (await described(client, link.workflow_id, link.first_run_id, timeout=_PATIENCE)).started_at
    return link.started_at


async def stop(client: Client, order: StopOrder) -> ControlView:
    """Puts an incident in force; the same order once more changes nothing. Raises as `_ordered` does."""
    return await _ordered(client, names.STOP, order)


async def lift(client: Client, order: LiftOrder) -> ControlView:
    """Opens stages of an incident. Raises as `_ordered` does."""
    return await _ordered(client, names.LIFT, order)


async def block(client: Client, order: AccessOrder) -> ControlView:
    """Blocks a tool for all, for an agent or for a tenant. Raises as `_ordered` does."""
    return await _ordered(client, names.BLOCK, order)


async def allow(client: Client, order: AccessOrder) -> ControlView:
    """Takes back the block of the same tool, agent and tenant. Raises as `_ordered` does."""
    return await _ordered(client, names.ALLOW, order)


async def limit(client: Client, order: LimitOrder) -> ControlView:
    """Limits the runs at once of a tenant, or takes the limit away. Raises as `_ordered` does."""
    return await _ordered(client, names.LIMIT, order)


async def confirm(client: Client, order: ConfirmOrder) -> ControlView:
    """Puts what was last known in force again, after the control plane was lost. Raises as `_ordered` does."""
    return await _ordered(client, names.CONFIRM, order)


async def _ordered(client: Client, name: str, order: Order) -> ControlView:
    """Gives an order, and returns what is in force then; starts the control plane where it does not run.

    One that was lost takes orders, too: `state.confirmed` of the answer is false until somebody confirms.

    Raises:
        OrderRefusedError: the order was refused, and changes nothing.
        ControlUnansweredError: no worker serves the control plane in time.
        UnreachableError: Temporal does not answer.
    """
    plane, order_id = unencrypted(client), uuid.uuid4().hex
    with in_our_words(client, names.CONTROL_ID):
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                while True:
                    answer = await _told(plane, name, order, order_id)
                    if answer is not None:
                        return ControlView.model_validate(answer)
                    await asyncio.sleep(_PAUSE_SECONDS)
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            raise ControlUnansweredError from error


async def _told(plane: Client, name: str, order: Order, order_id: str) -> Any:
    """Returns the answer to an order; None where it was not taken, and may be given again."""
    found = await find(plane, _PATIENCE)
    try:
        # One that runs is not started here: should it end meanwhile, the next one must know that it was lost.
        if found is not None and found.execution.open:
            handle: Any = plane.get_workflow_handle(names.CONTROL_ID)
            return await handle.execute_update(name, plain(order), id=order_id, rpc_timeout=_PATIENCE)
        return await _told_with_start(plane, found, name, plain(order), order_id)
    except WorkflowAlreadyStartedError:
        return None
    except WorkflowUpdateFailedError as error:
        return _refused(error)
    except RPCError as error:
        if error.status in _UNANSWERED:
            raise ControlUnansweredError from error
        if error.status in _MOVED:
            return None
        raise


async def _told_with_start(
    plane: Client, before: Found | None, name: str, message: dict[str, Any], order_id: str
) -> Any:
    given, options = beginning(before)
    start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
        names.CONTROL_PLANE, plain(given), **options
    )
    try:
        return await plane.execute_update_with_start_workflow(  # pyright: ignore[reportUnknownMemberType]
            name, message, start_workflow_operation=start, id=order_id, rpc_timeout=_PATIENCE
        )
    except BaseException:
        # The start operation holds the same error in a future; asyncio would log it as never retrieved.
        asyncio.ensure_future(start.workflow_handle()).add_done_callback(retrieve_error)
        raise


def _refused(error: WorkflowUpdateFailedError) -> None:
    """Says in our words why an order was refused; returns where the control plane only ended meanwhile."""
    cause = error.cause
    if not isinstance(cause, ApplicationError):
        raise OrderRefusedError(type(cause).__name__, str(cause)) from error
    if cause.type == _ENDED_MEANWHILE:
        return
    word = cause.details[0] if cause.type == names.REFUSED_ORDER and cause.details else cause.type
    raise OrderRefusedError(str(word), cause.message) from error
