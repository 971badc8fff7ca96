"""`backstay setup`: prepares a namespace for runs."""

from ..shell.options import Written
from ..shell.output import Output


def setup(output: Written = Output.TABLE) -> int:
    """Register the search attributes of runs in the namespace; may be run again.

    Exit code: 0 all are there, 2 one has another type or the server refuses, 5 Temporal unreachable.
    """
    from ..work import setup as work

    return work.setup(output)
