"""Sends notices of approvals, without ever making a run wait for one."""

import asyncio
from datetime import timedelta
from typing import Literal

from temporalio import workflow
from temporalio.exceptions import ActivityError
from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.approval import Notice
from backstay.contracts.card import text_of
from backstay.kernel.markdown import inert

from .. import options
from .live import LiveRun
from .measure import approval_told

LAST_SECONDS = timedelta(seconds=5)


class Notices:
    """The notices under way; they are sent beside the run."""

    def __init__(self, run: LiveRun) -> None:
        self._run = run
        self._under_way: set[asyncio.Task[None]] = set()

    def tell(self, approval_id: str, event: Literal["opened", "expiring", "closed"]) -> None:
        """Counts what happened to an approval, and sends a notice of it if the agent names somebody to tell."""
        approval_told(self._run.request.agent, event)
        if not self._run.admission.approval.notify:
            return
        approval = self._run.state.approvals[approval_id]
        shown = self._run.record.shown(approval)
        notice = Notice(
            event=event,
            run_id=workflow.info().workflow_id,
            agent=self._run.request.agent,
            tenant=self._run.request.tenant,
            approval=shown,
            text=text_of(shown),
            end=approval.end.value if approval.end else None,
        )
        task = asyncio.create_task(self._send(notice))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    @property
    def quiet(self) -> bool:
        """True where none is under way."""
        return not self._under_way

    async def sent(self) -> None:
        """Waits for notices under way, for a few seconds at most: a run closes whoever listens."""
        try:
            await workflow.wait_condition(lambda: not self._under_way, timeout=LAST_SECONDS)
        except TimeoutError:
            workflow.logger.warning("closing with notices that were not sent")

    async def _send(self, notice: Notice) -> None:
        summary = f"tell · approval of {inert(notice.approval.tool)} {notice.event}"
        how: ActivityConfig = {**options.NOTIFY, "summary": summary, "priority": options.shared_fairly(notice.tenant)}
        try:
            await workflow.execute_activity(names.NOTIFY, notice, **how)
        except ActivityError:
            workflow.logger.warning("a notice was not taken")
