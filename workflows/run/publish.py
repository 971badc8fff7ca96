"""Tells the engine where a run stands: search attributes for fleets, current details for people."""

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


class Noticeboard:
    """Publishes changes of state, and the spend every 20 steps; says nothing twice."""

    def __init__(self, request: RunRequest) -> None:
        self._request = request
        self.search_attributes = False
        self._state: str | None = None
        self._pending = 0
        self._usd_step = 0
        self._memo: list[dict[str, Any]] = []

    def publish(self, status: RunStatusView) -> None:
        """Shows the status, where it changed."""
        workflow.set_current_details(details(workflow.info().workflow_id, self._request.goal, status))
        due = status.step >= self._usd_step + USD_EVERY_STEPS
        self._show_approvals(status)
        pending = len(status.pending_approvals)
        same = (status.state, pending) == (self._state, self._pending)
        if not self.search_attributes or (same and not due):
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
