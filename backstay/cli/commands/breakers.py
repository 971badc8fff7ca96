"""`backstay breakers`: shows what stops a part of the fleet by itself; needs no worker."""

from ..shell.options import Written
from ..shell.output import Output


def breakers(output: Written = Output.TABLE) -> int:
    """Show each breaker, what it has seen in each scope, and what has tripped; the rules stand in org.toml.

    A scope is `closed` while all is well, `open` after a trip, and `half_open` after its stop was lifted, while the
    first runs are watched. Exit code: 0 shown, 5 Temporal unreachable.
    """
    from ..work import breakers as work

    return work.show(output)
