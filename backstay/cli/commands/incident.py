"""`backstay incident`: stops a part of the fleet, reports run by run, and lifts the stop in stages."""

from typing import Annotated

import typer

from ..shell.options import By, Written
from ..shell.output import Output

incident = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

Incident = Annotated[str, typer.Argument(metavar="ID", help="The incident, as `backstay incident list` has it.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; the runs, the report and the audit keep it.")]


@incident.callback()
def incidents() -> None:
    """Stop a part of the fleet, see what became of each run, and let them go again in stages."""


@incident.command()
def stop(
    scope: Annotated[
        str, typer.Option("--scope", "-s", help="What is stopped: all, tenant:T, agent:A, tool:X or model:M.")
    ],
    reason: Reason,
    freeze: Annotated[bool, typer.Option("--freeze", help="Hold the runs in scope instead of ending them.")] = False,
    engine: Annotated[
        bool, typer.Option("--engine", help="Let the Temporal server hold calls too, where they have their own queue.")
    ] = False,
    by: By = None,
    incident_id: Annotated[
        str | None, typer.Option("--id", help="The incident's id, so that asking again is safe. Default: a new one.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until each run is accounted for.")] = True,
    output: Written = Output.TABLE,
) -> int:
    """Stop a part of the fleet: in force first, then each run in scope is told, and reported.

    New starts in scope are refused; decisions and effects wait. A stop of a tool or a model holds those calls, and ends
    no run. The sweep goes on when this command is ended: ask again with the same --scope, or see `incident report`.

    With --engine the server holds the task queues that carry nothing but calls in scope, whatever workers do: those of
    providers' accounts, and of tools whose calls are shared. The command says which it holds, and which it cannot.

    Exit code: 0 all runs are accounted for, 1 one could not be stopped, 2 usage, 5 Temporal unreachable.
    """
    from ..work import incident as work

    return work.stop(work.Asked(scope, freeze, reason, by, incident_id, engine), output, wait=wait)


@incident.command()
def lift(
    incident_id: Incident,
    reason: Reason,
    stage: Annotated[
        str, typer.Option(help="Open up to this stage: reads, models, writes, or all, which ends the incident.")
    ] = "all",
    canary: Annotated[
        int | None, typer.Option(help="Let so many frozen runs go first, and the others if they do not fail.")
    ] = None,
    watch: Annotated[str, typer.Option(help="How long the first runs are watched.")] = "60s",
    by: By = None,
    output: Written = Output.TABLE,
) -> int:
    """Lift a stop, in stages: reads, then decisions of models, then other effects, then new starts.

    With --canary some frozen runs go first through all stages. Where they fail again, the stop is in force again at
    once; else the others follow up to --stage.

    Exit code: 0 lifted, 2 usage, 4 there is no such incident, 5 Temporal unreachable.
    """
    from ..work import incident as work

    return work.lift(incident_id, work.Opened(stage, canary, watch, reason, by), output)


@incident.command()
def status(
    incident_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="This incident alone.")] = None,
    output: Written = Output.TABLE,
) -> int:
    """Show the stops in force: what each closes, for whom, why, and how far its sweep has come.

    Exit code: 0 shown, 4 there is no such incident, 5 Temporal unreachable.
    """
    from ..work import incident as work

    return work.status(incident_id, output)


@incident.command()
def report(
    incident_id: Incident,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until each run is accounted for.")] = False,
    output: Written = Output.TABLE,
) -> int:
    """Show what became of each run in the scope of a stop, with what it had spent.

    Exit code: 0 all runs are accounted for, 1 not yet or one could not be stopped, 4 there is no such incident,
    5 Temporal unreachable.
    """
    from ..work import incident as work

    return work.report(incident_id, output, wait=wait)


@incident.command("list")
def listed(output: Written = Output.TABLE) -> int:
    """List the incidents, those that were lifted last included.

    Exit code: 0 listed, 5 Temporal unreachable.
    """
    from ..work import incident as work

    return work.listed(output)
