"""Runs the command `backstay`: each command is a module of its own, loaded when it is called.

To add a command, write a module and a line in `COMMANDS`. The module holds a function with the command's name: its
parameters are the arguments and options, and it returns the exit code. What the command does is a module of the same
name in `work`, imported when the command runs, so that `--help` is fast. A command with commands of its own is a
`typer.Typer` of that name.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Annotated, Any, NamedTuple, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from backstay import __version__

from .shell.exit import ExitCode, leave
from .shell.streams import lost, open_streams
from .shell.usage import wants_json


class Entry(NamedTuple):
    """Names the module of a command, and its line in the list of commands.

    `acts`: what the command did counts, also where its words could not be written; others exist for their words.
    `extra`: must be installed to run it; for others, the first part that is missing names its extra.
    """

    module: str
    help: str
    acts: bool = False
    extra: str | None = None


COMMANDS = {
    "demo": Entry(
        "demo", "See governed runs: engine, worker and a scripted model, all local, no key.", acts=True, extra="dev"
    ),
    "compare": Entry(
        "compare", "See an AutoGPT loop beside a governed run: the same goals, model and tools.", extra="dev"
    ),
    "new": Entry("new", "Write an agent's folder that runs at once.", acts=True),
    "dev": Entry("dev", "Run a Temporal development server and a worker until Ctrl-C.", acts=True, extra="dev"),
    "run": Entry("run", "Start a run and follow it to its end.", acts=True),
    "list": Entry("list", "List open runs, then closed ones."),
    "show": Entry("show", "Show a run, or an agent with its settings, tools and rules."),
    "watch": Entry("watch", "Follow a run, one line per step."),
    "result": Entry("result", "Wait until a run ends and write its result."),
    "transcript": Entry("transcript", "Write the conversation of a run, open or closed."),
    "audit": Entry("audit", "Show who did what in a run; export, verify and keep the evidence.", acts=True),
    "kill": Entry("kill", "End a run, or all that match.", acts=True),
    "pause": Entry("pause", "Hold a run back.", acts=True),
    "resume": Entry("pause", "Let a paused run go on.", acts=True),
    "grant": Entry("grant", "Add to limits of a running run.", acts=True),
    "grants": Entry(
        "grants", "List standing grants, which let calls through without asking, and revoke them.", acts=True
    ),
    "approvals": Entry("approvals", "List the open approvals of all runs, the first to expire first."),
    "approve": Entry("answers", "Release a call that waits for approval.", acts=True),
    "deny": Entry("answers", "Refuse a call that waits for approval.", acts=True),
    "edit": Entry("answers", "Change the arguments of a waiting call.", acts=True),
    "answer": Entry("answers", "Answer a question, or say whether a lost call happened.", acts=True),
    "say": Entry("say", "Say more to a run that is kept open after its answer.", acts=True),
    "access": Entry("access", "Block tools for all, an agent or a tenant, and limit runs at once.", acts=True),
    "control": Entry("control", "Show what is in force over all runs, and confirm it after a loss.", acts=True),
    "budget": Entry("budget", "Show what runs may still spend together."),
    "incident": Entry("incident", "Stop a part of the fleet, run by run, and lift the stop in stages.", acts=True),
    "quota": Entry("quota", "Set and show the rates of providers' accounts.", acts=True),
    "breakers": Entry("breakers", "Show what stops a part of the fleet by itself, and what it has seen."),
    "usage": Entry("usage", "Add up what closed runs have used, by tenant, agent, model or tool."),
    "keys": Entry("keys", "Make a key that proves who you are, or show its public line.", acts=True),
    "policy": Entry("policy", "Check, test, explain and show the rules of agents, and their schema."),
    "mcp": Entry("mcp", "Show the tools of MCP servers, and what has changed."),
    "worker": Entry("worker", "Serve runs until told to stop.", acts=True),
    "setup": Entry("setup", "Register the search attributes; may be run again.", acts=True),
    "doctor": Entry("doctor", "Check everything that a run needs."),
    "replay": Entry("replay", "Replay a run's history against the present code."),
    "codec-server": Entry("codec_server", "Let Temporal's UI and command line read encrypted payloads.", acts=True),
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
    single.command(name)(_ending(found, COMMANDS[name].extra))
    return get_command(single)


def _ending(command: Callable[..., int], extra: str | None) -> Callable[..., None]:
    @wraps(command)
    def ended(**given: Any) -> None:
        if extra is not None:
            from backstay.extras import require  # loads pydantic, which `--help` does not need

            require(extra)
        raise typer.Exit(command(**given))

    return ended


_HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"]}
"""Typer hands these on from a command to its own commands."""

_OF_SIGNALS = 128

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


def execute(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code.

    Args:
        arguments: after `backstay`; default: those of the process.
    """
    words = sys.argv[1:] if arguments is None else arguments
    try:
        command, rest, name = _named(words)
        code = command.main(rest, prog_name=name, standalone_mode=False, **_HELP)
    except SystemExit as ended:
        code = ended.code
    except (KeyboardInterrupt, typer.Abort):
        code = ExitCode.INTERRUPTED
    except Exception as error:
        from .shell.failure import report  # loads pydantic, which `--help` does not need

        return report(error, as_json=wants_json(words))
    code = code if isinstance(code, int) else ExitCode.COMPLETED
    if code > _OF_SIGNALS and wants_json(words):
        from .shell.failure import interrupted

        interrupted(as_json=True)
    return code


def _named(words: Sequence[str]) -> tuple[Any, list[str], str]:
    """Returns the command that a line begins with, what follows it, and its name; else the group of all.

    Not always by way of the group: reading the group's own options costs more than the help of a command.
    """
    if words and words[0] in COMMANDS:
        return _loaded(words[0]), list(words[1:]), f"backstay {words[0]}"
    return get_command(app), list(words), "backstay"


def main() -> NoReturn:
    """Runs the command and ends the process with its exit code."""
    open_streams()
    leave(_shown(execute()))


def _shown(code: int) -> int:
    """Returns the exit code once all output is written: where some of it is lost, a command that only shows failed."""
    sys.stdout.flush()
    failure = lost()
    if failure is None:
        return code
    print(f"backstay: the output could not be written: {failure.strerror}", file=sys.stderr)
    called = next((COMMANDS[word] for word in sys.argv[1:] if word in COMMANDS), None)
    return code if called is not None and called.acts else code or ExitCode.FAILED
