"""Announces an approval to people."""

from temporalio import activity

from backstay.contracts import names
from backstay.contracts.approval import Notice
from backstay.ports import Notifier


class Notify:
    """The activity `notify`; a run never waits for it to succeed."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    @activity.defn(name=names.NOTIFY)
    async def notify(self, notice: Notice) -> None:
        """Sends one notice; the engine retries it a few times."""
        await self._notifier.send(notice.agent, notice.model_dump(mode="json"))
