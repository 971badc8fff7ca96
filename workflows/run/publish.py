"""Tells the engine where a run stands: search attributes and memo for fleets, current details for people."""

import asyncio
from collections.abc import Callable
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

from backstay.contracts.approval import MEMO_KEY, memo_of
from backstay.contracts.run import RunRequest
from backstay.contracts.status import RunStatusView

from .words import details

USD_EVERY_STEPS = 20

_AGENT = SearchAttributeKey.for_keyword("BackstayAgent")
_TENANT = SearchAttributeKey.for_keyword("BackstayTenant")
_STATE = SearchAttributeKey.for_keyword("BackstayState")
_STOP_REASON = SearchAttributeKey.for_keyword("BackstayStopReason")
_PENDING = SearchAttributeKey.for_int("BackstayPendingApprovals")
_USD = SearchAttributeKey.for_float("BackstayUsd")


class Publisher:
    """Publishes changes of state, and the spend every 20 steps; says nothing twice.

    `has_attributes` tells whether the search attributes exist, which only the admission knows.
    """

    def __init__(
        self, request: RunRequest, status: Callable[[], RunStatusView], has_attributes: Callable[[], bool]
    ) -> None:
        self._request = request
        self._status = status
        self._has_attributes = has_attributes
        self._due = False
        self._state: str | None = None
        self._pending = 0
        self._usd_step = 0
        self._memo: list[dict[str, Any]] = []

    def heed(self) -> None:
        """Publishes soon, once for all that happens together."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self.publish)

    def publish(self) -> None:
        """Publishes where the run stands, as far as that changed."""
        self._due = False
        status = self._status()
        workflow.set_current_details(details(workflow.info().workflow_id, self._request.goal, status))
        due = status.step >= self._usd_step + USD_EVERY_STEPS
        self._show_approvals(status)
        pending = len(status.pending_approvals)
        same = (status.state, pending) == (self._state, self._pending)
        if not self._has_attributes() or (same and not due):
            return
        updates: list[SearchAttributeUpdate[Any]] = [
            _STATE.value_set(status.state),
            _PENDING.value_set(pending),
            _USD.value_set(float(status.spent.usd)),
        ]
        if self._state is None:
            updates += [_AGENT.value_set(self._request.agent), _TENANT.value_set(self._request.tenant)]
        if status.stop_reason:
            updates.append(_STOP_REASON.value_set(status.stop_reason))
        workflow.upsert_search_attributes(updates)  # pyright: ignore[reportUnknownMemberType]
        self._state, self._pending, self._usd_step = status.state, pending, status.step

    def _show_approvals(self, status: RunStatusView) -> None:
        """Keeps the open approvals in the memo, so that a list over many runs needs to ask none of them."""
        memo = memo_of(status.pending_approvals)
        if memo != self._memo:
            workflow.upsert_memo({MEMO_KEY: memo})
            self._memo = memo
