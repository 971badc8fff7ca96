"""`backstay doctor`: checks each part that a run needs, and says how to mend what is wrong."""

from collections.abc import AsyncGenerator

from rich.table import Table
from rich.text import Text

from backstay.client.health import Check, Known, known_settings, server_checks
from backstay.errors import ConfigurationError
from backstay.extras import installed
from backstay.settings import Settings, load_settings

from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.program import as_typed
from ..shell.terminal import Output, clean, say, write, write_json
from ..views.columns import Columns

_NAME = 17


def doctor(output: Output) -> int:
    """Runs `backstay doctor` and returns its exit code."""
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
    async for check in _checks(settings):
        done.append(check)
        if output is Output.TABLE:
            write(_line(check))
    return _ended(known, done, output)


async def _checks(settings: Settings) -> AsyncGenerator[Check]:
    """Checks the server, then what a worker needs, where the part that serves is installed."""
    async for check in server_checks(settings):
        yield check
    if not installed("worker"):
        detail = "`backstay[worker]` is not installed here: agents, rules and models are checked where it is"
        yield Check("agents", True, detail, "pip install 'backstay[worker]'", doubtful=True)
        return
    from backstay.checks.health import checks  # needs that part

    async for check in checks(settings):
        yield check


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


def _settings_table(known: list[Known]) -> Columns:
    table = Columns(("setting", "value", "from"))
    for one in known:
        table.add(one.variable, clean(one.value), one.source)
    return table


def _line(check: Check) -> Table:
    fine = ("!", "yellow") if check.doubtful else ("✓", "green")
    mend = f"; {as_typed(check.mend)}" if check.mend else ""
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(min_width=1)
    table.add_column(min_width=_NAME, no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(Text(*(fine if check.ok else ("✗", "red"))), check.name, f"{clean(check.detail)}{clean(mend)}")
    return table
