"""Ends a run before its history is as long as the engine keeps one: the engine would terminate it without a result."""

from temporalio import workflow

from backstay.kernel.events import HistoryFull
from backstay.kernel.history import nearly_full

from .chain import Chain
from .changes import knows
from .messages import Messages
from .record import Record

CLOSES_IN_TIME = "a run closes before its history is full"


async def guard(record: Record, messages: Messages, chain: Chain) -> None:
    """Waits until the history is nearly full, then interrupts the run: the last resort, where no link goes on."""
    info = workflow.info()
    # Both figures stand in the history with every workflow task, so that a replay reads the same ones.
    await workflow.wait_condition(
        lambda: nearly_full(
            info.get_current_history_size(), info.get_current_history_length(), messages.signals, chain.handed
        )
    )
    ends = record.closed or record.interrupted
    if not ends and knows(CLOSES_IN_TIME):
        size, events = info.get_current_history_size(), info.get_current_history_length()
        record.apply(HistoryFull(size, events, messages.signals))
