"""Tells the engine where a run stands, for lists over many runs: search attributes and memo."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

from backstay.contracts.approval import MEMO_KEY, WRITTEN_BY, PendingApproval, memo_of
from backstay.contracts.incident import STANDING_KEY, CallInFlight, Held
from backstay.contracts.run import RunRequest, plain
from backstay.kernel.money import format_usd

from .changes import publishes_again
from .report import Standing

USD_EVERY_STEPS = 20

_AGENT = SearchAttributeKey.for_keyword("BackstayAgent")
_TENANT = SearchAttributeKey.for_keyword("BackstayTenant")
_STATE = SearchAttributeKey.for_keyword("BackstayState")
_STOP_REASON = SearchAttributeKey.for_keyword("BackstayStopReason")
_PENDING = SearchAttributeKey.for_int("BackstayPendingApprovals")
_USD = SearchAttributeKey.for_float("BackstayUsd")
_ALL: tuple[SearchAttributeKey[Any], ...] = (_AGENT, _TENANT, _STATE, _STOP_REASON, _PENDING, _USD)


def clear_start_claims() -> None:
    """Clears what whoever started the run put where people believe only the run itself: lists show it as ours."""
    info = workflow.info()
    if MEMO_KEY in info.raw_memo:
        workflow.upsert_memo({MEMO_KEY: None, WRITTEN_BY: None})
    if STANDING_KEY in info.raw_memo:
        workflow.upsert_memo({STANDING_KEY: None})
    unset = [key.value_unset() for key in _ALL if key in info.typed_search_attributes]
    if unset:
        workflow.upsert_search_attributes(unset)  # pyright: ignore[reportUnknownMemberType]


class Publisher:
    """Publishes changes of state, and the spend every 20 steps; says nothing twice.

    `has_attributes` tells whether the search attributes exist, which only the admission knows; `left` is told of
    everything that is published.
    """

    def __init__(
        self,
        request: RunRequest,
        standing: Callable[[], Standing],
        has_attributes: Callable[[], bool],
        left: Callable[[], None] = lambda: None,
    ) -> None:
        self._request = request
        self._standing = standing
        self._has_attributes = has_attributes
        self._left = left
        self._due = False
        self._state: str | None = None
        self._pending = 0
        self._usd_step = 0
        self._memo: list[tuple[str, list[str]]] = []
        self._held: tuple[str, ...] = ()

    def heed(self) -> None:
        """Publishes soon, once for all that happens together."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self.publish)

    def begin(self) -> None:
        """Publishes again what was published before the claims of the start were cleared, and with them.

        A message that came before the first task is handled before anything else: a run that is frozen between two
        links would not show it, and the sweep would wait for it in vain.
        """
        if (self._state or self._memo or self._held) and publishes_again():
            self._state, self._memo, self._held = None, [], ()
            self.heed()

    def publish(self) -> None:
        """Publishes where the run stands, as far as that changed."""
        self._due = False
        now = self._standing()
        due = now.step >= self._usd_step + USD_EVERY_STEPS
        self._show_approvals(now.pending)
        self._show_incidents(now)
        pending = len(now.pending)
        same = (now.state, pending) == (self._state, self._pending)
        if not self._has_attributes() or (same and not due):
            return
        updates: list[SearchAttributeUpdate[Any]] = [
            _STATE.value_set(now.state),
            _PENDING.value_set(pending),
            _USD.value_set(float(format_usd(now.usd))),
        ]
        if self._state is None:
            updates += [_AGENT.value_set(self._request.agent), _TENANT.value_set(self._request.tenant)]
        if now.stop_reason:
            updates.append(_STOP_REASON.value_set(now.stop_reason))
        workflow.upsert_search_attributes(updates)  # pyright: ignore[reportUnknownMemberType]
        self._left()
        self._state, self._pending, self._usd_step = now.state, pending, now.step

    def _show_incidents(self, now: Standing) -> None:
        """Keeps in the memo which incidents hold the run, so that their sweep needs to ask no run."""
        if now.frozen != self._held:
            running = [CallInFlight(call_id=call_id, tool=tool) for call_id, tool in now.running.items()]
            by = workflow.info().run_id
            held = Held(by=by, incidents=list(now.frozen), usd=format_usd(now.usd), in_flight=running)
            workflow.upsert_memo({STANDING_KEY: plain(held) if now.frozen else None})
            self._left()
            self._held = now.frozen

    def _show_approvals(self, pending: Sequence[PendingApproval]) -> None:
        """Keeps the open approvals in the memo, so that a list over many runs needs to ask none of them."""
        memo = memo_of(pending)
        # What a run spends while it waits is no reason to write again: replay would see other commands.
        told = [(one.approval_id, one.answered_by) for one in pending[: len(memo)]]
        if told != self._memo:
            workflow.upsert_memo({MEMO_KEY: memo, WRITTEN_BY: workflow.info().run_id})
            self._left()
            self._memo = told
