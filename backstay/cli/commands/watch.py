"""`backstay watch`: follows a run, one line per step; on a terminal with its budget below."""

from ..shell.options import By, RunId, Written
from ..shell.output import Output


def watch(run_id: RunId, by: By = None, output: Written = Output.TABLE) -> int:
    """Follow a run to its end: one line per step, and on a terminal its budget, drawn again as it changes.

    Says whom and what it waits for, and on a terminal asks you where your approval is needed.

    With -o json each item of the transcript is a line of JSON, `{"item": ...}`, and the last is `{"result": ...}` or
    `{"error": ...}`. Ctrl-C leaves the run alone. Exit code: 0 completed, 1 failed, 3 stopped by governance, 4 not
    found, 5 Temporal unreachable, 130 interrupted.
    """
    from ..work import watch as work

    return work.watch(run_id, by, output)
