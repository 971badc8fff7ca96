"""Announces an approval to people."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.approval import Notice
from backstay.errors import ForeignRunError
from backstay.ports import Notifier

from .conversation import Conversations
from .prepare import this_run


class Notify:
    """The activity `notify`; a run never waits for it to succeed."""

    def __init__(self, conversations: Conversations, notifier: Notifier) -> None:
        self._conversations = conversations
        self._notifier = notifier

    @activity.defn(name=names.NOTIFY)
    async def notify(self, notice: Notice) -> None:
        """Sends one notice of the run that asks; the engine retries it a few times.

        Raises:
            ApplicationError: of type `ForeignRun`: the notice is not of the run that asks, or that is none of ours.
        """
        run = this_run()
        opening = await self._conversations.opening(run)
        if (notice.run_id, notice.agent, notice.tenant) != (opening.run_id, opening.agent, opening.tenant):
            text = "a notice names another run than the one that asks"
            raise ApplicationError(text, type=ForeignRunError.code, non_retryable=True)
        await self._notifier.send(opening.agent, notice.model_dump(mode="json"))
