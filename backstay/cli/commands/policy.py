"""`backstay policy`: checks, tests, explains and shows the rules of agents, and their schema; needs no model."""

from pathlib import Path
from typing import Annotated

import typer

from ..shell.completion import agent_names
from ..shell.output import Output

policy = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

AgentName = Annotated[str, typer.Argument(metavar="AGENT", help="The agent's name.", autocompletion=agent_names)]

AgentNames = Annotated[
    list[str] | None, typer.Argument(metavar="[AGENT]...", help="Default: all of them.", autocompletion=agent_names)
]

Written = Annotated[Output, typer.Option("--output", "-o", help="How it is written.")]


@policy.callback()
def rules() -> None:
    """Check, test, explain and show the rules of agents.

    Only `check --observed`, `explain --run` and `replay` need Temporal.
    """


@policy.command()
def show(agent: AgentName, output: Written = Output.TABLE) -> None:
    """Show the rules in force for an agent as Cedar evaluates them: the organisation's, its own, the generated ones.

    Exit code: 0 shown, 2 there is no such agent, or its rules cannot be put in force.
    """
    from ..work import policy as work

    work.show(agent, output)


@policy.command()
def schema(agent: AgentName) -> None:
    """Write the Cedar schema of an agent's tools as JSON: what its rules may name, and the types. Editors read it.

    Exit code: 0 written, 2 there is no such agent, or no schema can be made of its tools.
    """
    from ..work import policy as work

    work.schema(agent)


@policy.command()
def check(
    agents: AgentNames = None,
    observed: Annotated[
        bool, typer.Option("--observed", help="Report instead what enforcing observed rules would have changed.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="With --observed: the latest so many runs.")] = 100,
    output: Written = Output.TABLE,
) -> None:
    """Find everything that is wrong with the rules, with file, line and the mend.

    With --observed, read the latest runs from Temporal instead, and report which of their calls would have been decided
    differently had rules that were only observed been enforced. Exit code: 0 nothing is wrong, or reported; 1 something
    is wrong; 2 there is no such agent; 5 Temporal unreachable. Warnings change no exit code.
    """
    from ..work import policy as work

    work.check(agents, observed, limit, output)


@policy.command("test")
def try_cases(agents: AgentNames = None, output: Written = Output.TABLE) -> None:
    """Judge the calls of each agent's cases.toml by its rules, and compare the verdicts with the expected ones.

    Exit code: 0 all pass, 1 one does not, 2 there is no such agent, or a file cannot be used.
    """
    from ..work import policy as work

    work.try_cases(agents, output)


@policy.command()
def explain(
    agent: Annotated[
        str | None,
        typer.Argument(
            metavar="AGENT", help="The agent's name; with --run the step, or nothing.", autocompletion=agent_names
        ),
    ] = None,
    tool: Annotated[str | None, typer.Argument(metavar="TOOL", help="The tool's name.")] = None,
    args: Annotated[str, typer.Option(help="The call's arguments: '{\"amount\": 50}'.")] = "{}",
    goal: Annotated[str, typer.Option(help="The run's goal; rules see which arguments it names.")] = "",
    taint: Annotated[list[str] | None, typer.Option(help="What the run has read, such as untrusted; repeatable.")] = (
        None
    ),
    approval: Annotated[list[str] | None, typer.Option(help="What was granted, such as finance:2; repeatable.")] = None,
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="The run's tenant.")] = "default",
    run: Annotated[str | None, typer.Option(help="Explain past calls of a run, in place of AGENT and TOOL.")] = None,
    step: Annotated[int | None, typer.Option(help="The step of the run; default: all steps.")] = None,
    output: Written = Output.TABLE,
) -> None:
    """Show the verdict over a call, the reasons for it, and what would change it. Nothing is executed.

    With --run: the verdicts over past calls as they were recorded, the deciding rules, and where the values came from.

    Exit code: 0 explained, whatever the outcome; 2 there is no such agent or tool, or the arguments are no JSON; 4 no
    such run or step; 5 Temporal unreachable.
    """
    if run is not None:
        from ..work import policy_past as past

        raise typer.Exit(past.explain_past(run, _step(agent, tool, step), output))
    if agent is None or tool is None:
        raise typer.BadParameter("name the agent and the tool, or a run with `--run`")
    from ..work import policy as work

    work.explain(agent, tool, args, goal, taint, approval, tenant, output)


@policy.command()
def replay(
    step: Annotated[
        int | None, typer.Argument(metavar="[STEP]", help="With --case: the step of the run; default: all steps.")
    ] = None,
    policies: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="The candidate's rules, in place of BACKSTAY_POLICIES; repeatable."),
    ] = None,
    agents: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="The candidate's agents, in place of BACKSTAY_AGENTS; repeatable."),
    ] = None,
    since: Annotated[str, typer.Option(help="How far back, such as 24h or 7d, or a date such as 2026-11-01.")] = "7d",
    agent: Annotated[
        str | None, typer.Option("--agent", "-a", help="Only calls of this agent.", autocompletion=agent_names)
    ] = None,
    archive: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE", help="Read only this archive, a folder or s3://bucket/prefix, and ask no server."
        ),
    ] = None,
    case: Annotated[
        str | None, typer.Option(metavar="RUN", help="Write past calls of a run as entries of cases.toml instead.")
    ] = None,
    output: Written = Output.TABLE,
) -> None:
    """Judge the calls of past runs by a candidate bundle, and list those that it decides otherwise, the loosened first.

    Arguments, facts, sums, sources, consents and time are those of then. A call is `unknown` where the candidate's
    rules read what the past does not tell. Runs that Temporal has forgotten are read from BACKSTAY_ARCHIVE. With --case
    RUN STEP: past calls as `backstay policy test` takes them.

    Exit code: 0 nothing changed, or written; 1 nothing is known to change, and some calls are unknown or not read; 2
    the candidate cannot be used; 3 something changed; 4 with --case: no such run or step; 5 Temporal unreachable.
    """
    if case is not None:
        if policies or agents or agent or archive:
            raise typer.BadParameter("a case is written as it was decided: name the run, and a step, alone")
        from ..work import policy_case

        raise typer.Exit(policy_case.case(case, step, output))
    if step is not None:
        raise typer.BadParameter("a step is of a run: `--case RUN 3`")
    from ..work import policy_replay as work

    raise typer.Exit(work.replay(policies or [], agents or [], work.Wanted(since, agent, archive), output))


def _step(word: str | None, further: str | None, step: int | None) -> int | None:
    """Returns the step that is asked for: as an option, or as the only word after the run."""
    if further is not None or (word is not None and (step is not None or not word.isdecimal())):
        raise typer.BadParameter("with `--run` there is a step at most: `--run RUN --step 3`")
    return int(word) if word is not None else step
