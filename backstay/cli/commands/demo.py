"""`backstay demo`: plays six governed runs on this machine and checks afterwards what really happened."""

from typing import Annotated

import typer


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Stay up until Ctrl-C, to look at the runs in the UI.")] = False,
) -> int:
    """See governed runs: engine, worker and a scripted model, all local, no key.

    With OPENAI_API_KEY or OPENAI_BASE_URL the real model plays, whatever it does. Exit code: 0 every run ended as
    governance promises, 1 one did not.
    """
    from ..work import demo as work

    return work.demo(keep)
