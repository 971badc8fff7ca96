"""Writes the conversation of earlier links into the history of the link that goes on with the run."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.recall import Recalled, RecallInput, Recollection
from backstay.errors import HistoryError, HistoryGoneError

from .conversation import Conversations
from .heartbeat import beating
from .prepare import this_run

PIECE_BYTES = 600_000
"""The most of a piece, unless one item alone has more: the engine takes 2 MB as the result of an activity."""


class Recall:
    """The activity `recall`."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations

    @activity.defn(name=names.RECALL)
    async def recall(self, given: RecallInput) -> Recalled:
        """Returns a piece of the conversation, so that no later step of the run needs a closed link.

        Raises:
            ApplicationError: of type `HistoryGone`: the engine has forgotten the link before; not retried. Of type
                `HistoryError`: it does not show everything yet.
        """
        try:
            async with beating():
                return _piece(await self._conversations.left(this_run(), given), given.after)
        except HistoryError as error:
            gone = isinstance(error, HistoryGoneError)
            raise ApplicationError(str(error), type=error.code, non_retryable=gone) from error


def _piece(left: Recollection, after: int) -> Recalled:
    """Returns what fits into one piece: the items come first, and then the results."""
    entries = [Recalled(items=[item]) for item in left.items]
    entries += [Recalled(items=[], results={call_id: text}) for call_id, text in left.results.items()]
    room, until = PIECE_BYTES, after
    while until < len(entries) and (room := room - len(entries[until].model_dump_json().encode())) >= 0:
        until += 1
    chosen = entries[after : max(until, after + 1)]
    return Recalled(
        items=[item for one in chosen for item in one.items],
        results={call_id: text for one in chosen for call_id, text in one.results.items()},
        more=after + len(chosen) < len(entries),
    )
