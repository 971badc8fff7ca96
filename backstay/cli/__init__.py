"""Runs the command `backstay`: each command is a module of its own, loaded when it is called.

To add a command, write a module and a line in `COMMANDS`. The module holds a function with the command's name: its
parameters are the arguments and options, and it returns the exit code. A command with commands of its own is a
`typer.Typer` of that name.
"""

import importlib
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, NamedTuple, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from backstay import __version__

from .shell.exit import ExitCode, leave


class Entry(NamedTuple):
    """Names the module of a command, and its line in the list of commands."""

    module: str
    help: str


COMMANDS = {
    "demo": Entry("demo", "See governed runs: engine, worker and a scripted model, all local, no key."),
    "new": Entry("new", "Write an agent's folder that runs at once."),
    "dev": Entry("dev", "Run a Temporal development server and a worker until Ctrl-C."),
    "run": Entry("run", "Start a run and follow it to its end."),
    "list": Entry("list", "List open runs, then closed ones."),
    "show": Entry("show", "Show a run, or an agent with its settings, tools and rules."),
    "watch": Entry("watch", "Follow a run, one line per step."),
    "result": Entry("result", "Wait until a run ends and write its result."),
    "kill": Entry("kill", "End a run."),
    "pause": Entry("pause", "Hold a run back."),
    "resume": Entry("pause", "Let a paused run go on."),
    "approvals": Entry("approvals", "List the open approvals of all runs, the first to expire first."),
    "approve": Entry("answers", "Release a call that waits for approval."),
    "deny": Entry("answers", "Refuse a call that waits for approval."),
    "edit": Entry("answers", "Change the arguments of a waiting call."),
    "answer": Entry("answers", "Say whether a lost call happened."),
    "policy": Entry("policy", "Check, test, explain and show the rules of agents."),
    "worker": Entry("worker", "Serve runs until told to stop."),
    "setup": Entry("setup", "Register the search attributes; may be run again."),
    "doctor": Entry("doctor", "Check everything that a run needs."),
    "replay": Entry("replay", "Replay a run's history against the present code."),
    "codec-server": Entry("codec_server", "Let Temporal's UI and command line read encrypted payloads."),
}


class Commands(TyperGroup):
    """Groups all commands; imports the module of a command only to run it, so that `--help` is fast."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        for name, entry in COMMANDS.items():
            self.add_command(TyperCommand(name, help=entry.help), name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Loads the named command."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, _loaded(name) if name else None, rest


def _loaded(name: str) -> Any:
    found = getattr(importlib.import_module(f"{__name__}.commands.{COMMANDS[name].module}"), name.replace("-", "_"))
    if isinstance(found, typer.Typer):
        return get_command(found)
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(name)(_ending(found))
    return get_command(single)


def _ending(command: Callable[..., int]) -> Callable[..., None]:
    @wraps(command)
    def ended(**given: Any) -> None:
        raise typer.Exit(command(**given))

    return ended


app = typer.Typer(cls=Commands, no_args_is_help=True, rich_markup_mode=None)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"backstay {__version__}")
        raise typer.Exit


@app.callback()
def backstay(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """AI agents on Temporal, under governance: budgets, policy, approvals and stops around every step."""


def execute(arguments: list[str] | None = None) -> int:
    """Runs a command and returns its exit code.

    Args:
        arguments: after `backstay`; default: those of the process.
    """
    try:
        get_command(app).main(arguments, prog_name="backstay")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else ExitCode.COMPLETED
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception as error:
        from .shell.failure import report  # loads pydantic, which `--help` does not need

        return report(error)
    return ExitCode.COMPLETED


def main() -> NoReturn:
    """Runs the command and ends the process with its exit code."""
    leave(execute())
