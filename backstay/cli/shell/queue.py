"""Says that nothing is listed because the commands look at another task queue than the workers."""

from backstay.client.fleet import other_queue
from backstay.kernel.characters import escaped

from .connected import Connected
from .program import program
from .terminal import say


async def said_elsewhere(link: Connected) -> bool:
    """Says that the task queue has no runs, and how to look at another; returns False where it has some."""
    other = await other_queue(link.client.temporal, link.client.task_queue)
    if other is None:
        return False
    such = f", such as `{escaped(other)}`" if other else f"; or start one with `{program()} run`"
    queue = escaped(link.client.task_queue)
    say(f"no runs on task queue `{queue}`; set BACKSTAY_TASK_QUEUE if the workers serve another{such}", "yellow")
    return True
