"""`backstay worker`: serves runs until it is told to stop."""

from typing import Annotated

import typer


def worker(
    agents: Annotated[str | None, typer.Option(help="Serve only these: A,B.")] = None,
    task_queue: Annotated[str | None, typer.Option("--task-queue", "-q", help="Default: BACKSTAY_TASK_QUEUE.")] = None,
) -> int:
    """Serve runs until told to stop.

    SIGTERM or Ctrl-C ends the worker in order: it takes no more work and lets running calls finish. A second one ends
    it at once. Exit code: 0 ended in order, 2 configuration, 5 Temporal unreachable.
    """
    from ..work import worker as work

    return work.worker(agents, task_queue)
