"""`backstay doctor`: checks each part that a run needs, and says how to mend what is wrong."""

from rich.table import Table
from rich.text import Text

from backstay.checks.health import Check, Known, checks, known_settings
from backstay.errors import ConfigurationError
from backstay.settings import Settings, load_settings

from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.options import Written
from ..shell.terminal import Output, clean, say, write, write_json


def doctor(
    output: Written = Output.TABLE,
) -> int:
    """Check settings, Temporal, search attributes, workers, agents, rules and model. Costs nothing.

    One thing no check can see: whoever resets an activity or a workflow by hand in Temporal breaks the promise of
    budgets, because the run forgets what it spent after the point of the reset.

    Exit code: 0 all is well, 1 something is not, 5 Temporal unreachable.
    """
    return run_loop(_doctor(output))


async def _doctor(output: Output) -> int:
    try:
        settings = load_settings()
    except ConfigurationError as error:
        return _ended(
            [], [Check("settings", False, f"{error.where}: {error.what}", error.mend or "set it right")], output
        )
    known = known_settings(settings)
    if output is Output.TABLE:
        write(_settings_table(known), "")
    return await _examined(settings, known, output)


async def _examined(settings: Settings, known: list[Known], output: Output) -> int:
    done: list[Check] = []
    async for check in checks(settings):
        done.append(check)
        if output is Output.TABLE:
            write(_line(check))
    return _ended(known, done, output)


def _ended(known: list[Known], done: list[Check], output: Output) -> int:
    wrong = [check for check in done if not check.ok]
    if output is Output.JSON:
        write_json(
            {
                "well": not wrong,
                "settings": [{"variable": one.variable, "value": one.value, "source": one.source} for one in known],
                "checks": [
                    {"name": one.name, "ok": one.ok, "detail": one.detail, "mend": one.mend or None} for one in done
                ],
            }
        )
    else:
        if not known:
            write(*(_line(check) for check in wrong))
        say("all is well" if not wrong else f"not well: {', '.join(dict.fromkeys(one.name for one in wrong))}")
    if any(check.unreachable for check in wrong):
        return ExitCode.UNREACHABLE
    return ExitCode.FAILED if wrong else ExitCode.COMPLETED


def _settings_table(known: list[Known]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("setting", "value", "from"):
        table.add_column(name, overflow="fold")
    for one in known:
        table.add_row(one.variable, clean(one.value), one.source)
    return table


def _line(check: Check) -> Text:
    mark = ("✓", "green") if check.ok else ("✗", "red")
    mend = f"; {check.mend}" if check.mend else ""
    return Text.assemble(mark, f" {check.name:18}", f"{clean(check.detail)}{clean(mend)}")
