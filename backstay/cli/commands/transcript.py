"""`backstay transcript`: the conversation of a run."""

from ..shell.options import RunId, Written
from ..shell.output import Output


def transcript(run_id: RunId, output: Written = Output.TABLE) -> int:
    """Write the conversation of a run so far, open or closed: the goal, each decision, each result, and the answer.

    With -o json it is `{"items": [...]}`. What Temporal has forgotten is read from the archive. Needs a worker. Exit
    code: 0 written, 1 no worker answers, 4 not found, 5 Temporal unreachable.
    """
    from ..work import transcript as work

    return work.transcript(run_id, output)
