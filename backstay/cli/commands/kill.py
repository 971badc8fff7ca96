"""`backstay kill`: ends a run, or all that match, and says how they ended."""

from typing import Annotated

import typer

from ..shell.completion import run_ids, states, stop_reasons
from ..shell.options import Agent, By, Tenant, Written
from ..shell.output import Output


def kill(
    run_id: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="The run's id; without it, the runs that match.", autocompletion=run_ids),
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option("--reason", "-r", help="Why; results and audits keep it. Of runs that match: the filters."),
    ] = None,
    by: By = None,
    state: Annotated[str | None, typer.Option(help="Runs in this state.", autocompletion=states)] = None,
    agent: Agent = None,
    tenant: Tenant = None,
    stop_reason: Annotated[
        str | None, typer.Option(help="Runs that are ending so.", autocompletion=stop_reasons)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Kill the runs that match without asking.")] = False,
    output: Written = Output.TABLE,
) -> int:
    """End a run, or all open runs that match: no new decision and no new action; running calls are cancelled.

    Waits up to 10 seconds for the end and says what was in flight. Exit code: 0 killed, 1 the run had
    ended otherwise before, 4 not found, 5 Temporal unreachable, 124 the order is given but the run is still open.

    With filters in place of a RUN: lists the open runs that match, asks, kills them 20 side by side, looks once more
    for runs that match now, and says of each what became of it. With -o json it is `{"runs": [{"run_id", "outcome":
    "killed"|"already_closed"|"could_not", "detail"}], "counts"}`. Exit code: 0 all are accounted for, 1 one could not
    be killed or is still open, 2 nobody can be asked and `--yes` is missing.
    """
    from backstay.client.run_filter import RunFilter

    from ..work import kill as one
    from ..work import kill_matching as many

    wanted = RunFilter(state, agent, tenant, stop_reason)
    if run_id is None:
        return many.kill_matching(wanted, reason, by, yes, output)
    return one.kill(run_id, wanted, reason, by, output)
