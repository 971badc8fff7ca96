"""`backstay doctor`: checks each part that a run needs, and says how to mend what is wrong."""

from ..shell.options import Written
from ..shell.output import Output


def doctor(
    output: Written = Output.TABLE,
) -> int:
    """Check settings, Temporal, search attributes, workers, control plane, agents, rules, proofs and model; free.

    Without `backstay[worker]` it checks the first five of these.

    A line with `!` is a warning: all works, and somebody should look at it. Warnings change no exit code.

    One thing no check can see: whoever resets an activity or a workflow by hand in Temporal breaks the promise of
    budgets, because the run forgets what it spent after the point of the reset.

    Exit code: 0 all is well, 1 something is not, 5 Temporal unreachable.
    """
    from ..work import doctor as work

    return work.doctor(output)
