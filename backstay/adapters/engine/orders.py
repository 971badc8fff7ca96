"""Gives the control plane orders, and reads what it has in force."""

from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from temporalio.client import Client, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from backstay.contracts import names
from backstay.contracts.control import ControlView, StopOrder
from backstay.contracts.run import plain
from backstay.errors import CodecError, HistoryError
from backstay.kernel.control import InForce

from .control import unencrypted
from .executions import RUNNING, described

_PATIENCE = timedelta(seconds=5)


class Orders:
    """The control plane, through a Temporal client."""

    def __init__(self, client: Client) -> None:
        self._client = unencrypted(client)

    async def stop(self, order: StopOrder) -> str | None:
        """Puts a stop in force; returns why it is refused, None where it is not.

        Raises:
            HistoryError: the control plane does not answer.
        """
        handle: Any = self._client.get_workflow_handle(names.CONTROL_ID)
        try:
            await handle.execute_update(names.STOP, plain(order), rpc_timeout=_PATIENCE)
        except WorkflowUpdateFailedError as error:
            if isinstance(error.cause, ApplicationError) and error.cause.type == names.REFUSED_ORDER:
                return error.cause.message
            raise HistoryError(f"the control plane does not take the stop: {error.cause}") from error
        except (RPCError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            raise HistoryError(f"the control plane does not answer: {error}") from error
        return None

    async def in_force(self) -> InForce:
        """Returns all that is in force.

        Raises:
            HistoryError: the control plane cannot be asked.
        """
        try:
            found = await described(self._client, names.CONTROL_ID, timeout=_PATIENCE)
            view = ControlView.model_validate(await found.memo_value(names.IN_FORCE))
        except (RPCError, ValidationError, CodecError) as error:
            raise HistoryError("the control plane cannot be asked what is in force") from error
        if found.state != RUNNING:
            raise HistoryError("the control plane does not run")
        return view.state
