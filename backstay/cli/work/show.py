"""`backstay show`: everything that is known about a run."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from backstay.client.overview import Overview, Pending
from backstay.client.run import Run
from backstay.contracts.card import command
from backstay.contracts.run import RunResult, plain
from backstay.contracts.status import RunStatusView, TranscriptItem
from backstay.errors import (
    BackstayError,
    ConfigurationError,
    InvalidInputError,
    NoResultError,
    NoWorkerError,
    RefusedError,
)
from backstay.kernel.characters import escaped

from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.terminal import Output, clean, one_line, say, write, write_json
from ..views.approval import facts
from ..views.follow import held_back
from ..views.people import people_table, refused_table
from ..views.report import STATUS_STYLE, budget_table, spent_line
from ..views.transcript import paragraphs
from ..views.trouble import model_trouble


@dataclass(frozen=True, slots=True)
class _Known:
    """Holds what could be read: `status` and `transcript` need a worker, `result` needs a closed run."""

    overview: Overview
    status: RunStatusView | None
    transcript: list[TranscriptItem] | None
    result: RunResult | None
    problem: str | None
    ui: str | None


def show(run_id: str | None, agent: str | None, output: Output) -> int:
    """Runs `backstay show` and returns its exit code."""
    if (run_id is None) == (agent is None):
        raise ConfigurationError("name either a run, or an agent with `--agent`")
    if agent is not None:
        from ..views.show_agent import show_agent  # loads agents and rules, which showing a run does not need

        return show_agent(agent, output)
    return run_loop(_show(run_id or "", output))


async def _show(run_id: str, output: Output) -> int:
    link = await connected(patience=5.0)
    run = link.client.run(run_id)
    overview = await run.describe()
    status, transcript = await _asked(run)
    result, problem = (None, None) if overview.open else await _ending(run)
    if status is not None and not overview.open:
        status = _over(status, overview)
    known = _Known(overview, status, transcript, result, problem, link.link(run_id))
    if status is None and overview.held_back:
        say(held_back(overview), "yellow")
    elif status is None:
        say("no worker answers: this is what Temporal itself knows, without the transcript", "yellow")
    if output is Output.JSON:
        write_json(_as_json(known))
    else:
        _print(known)
    return ExitCode.COMPLETED


async def _asked(run: Run) -> tuple[RunStatusView | None, list[TranscriptItem] | None]:
    try:
        return await run.status(), [item async for item in run.transcript()]
    except (NoWorkerError, RefusedError):
        return None, None


def _over(status: RunStatusView, overview: Overview) -> RunStatusView:
    """Returns the status of a run that the engine has closed: it waits for nobody, whatever it said last."""
    lasted = int(((overview.closed_at or datetime.now(UTC)) - overview.started_at).total_seconds())
    spent = status.spent.model_copy(update={"seconds": min(status.spent.seconds, lasted)})
    return status.model_copy(update={"state": "closed", "pending_approvals": [], "spent": spent})


async def _ending(run: Run) -> tuple[RunResult | None, str | None]:
    """Returns the result of a closed run, or why it has none."""
    try:
        return await run.result(), None
    except (NoResultError, InvalidInputError) as error:
        return None, _why(error)


def _why(error: BackstayError) -> str:
    detail = f": {error.detail}" if isinstance(error, NoResultError) and error.detail else ""
    return f"{error.how}{detail}" if isinstance(error, NoResultError) else str(error)


def _as_json(known: _Known) -> dict[str, Any]:
    overview = known.overview
    return {
        "run_id": overview.run_id,
        "execution": overview.state,
        "state": _word(known),
        "started_at": overview.started_at.isoformat(),
        "closed_at": overview.closed_at.isoformat() if overview.closed_at else None,
        "status": plain(known.status) if known.status else None,
        "result": plain(known.result) if known.result else None,
        "problem": known.problem,
        "trouble": _trouble(known),
        "people": [plain(deed) for deed in known.status.people] if known.status else [],
        "refused": [plain(one) for one in known.status.refused] if known.status else [],
        "in_flight": [_flight_as_json(one) for one in overview.pending],
        "models": _models(known),
        "transcript": None if known.transcript is None else [plain(item) for item in known.transcript],
        "ui": known.ui,
    }


def _trouble(known: _Known) -> str | None:
    """Returns what keeps the run from going on: the model as the engine sees it now, or what the run says."""
    found = model_trouble(known.overview.pending) if known.overview.open else None
    return found or (known.status.trouble if known.status else None)


def _models(known: _Known) -> list[str]:
    """Lists the models that replied, in the order of their first replies."""
    return list(dict.fromkeys(item.model for item in known.transcript or [] if item.model))


def _flight_as_json(one: Pending) -> dict[str, Any]:
    state = "running" if one.running else "waiting"
    return {
        "activity": one.activity,
        "call_id": one.call_id,
        "state": state,
        "attempt": one.attempt,
        "trouble": one.trouble,
        "next_try_at": one.next_try_at.isoformat() if one.next_try_at else None,
        "gives_up_at": one.gives_up_at.isoformat() if one.gives_up_at else None,
    }


def _print(known: _Known) -> None:
    write(_facts(known))
    reading = known.status or known.result
    if reading is not None:
        held = known.status.held if known.status else None
        write("", budget_table(reading.budget, reading.spent, held, reading.exposure))
    for approval in known.status.pending_approvals if known.status else []:
        write("", facts(known.overview.run_id, approval))
        say(f"answer it: {command(known.overview.run_id, approval)}")
    if known.status:
        for table in (people_table(known.status.people), refused_table(known.status.refused)):
            if table:
                write("", table)
    if known.transcript:
        write("", *(line for item in known.transcript for line in paragraphs(item)))


def _facts(known: _Known) -> Table:
    overview = known.overview
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("run", escaped(overview.run_id))
    table.add_row("state", _state(known))
    if (ended := known.result or known.status) and ended.stop_explained:
        table.add_row("why", clean(ended.stop_explained))
    if known.result:
        table.add_row("agent", f"{known.result.agent} · tenant {clean(known.result.tenant)}")
        table.add_row("spent", spent_line(known.result.spent, known.result.budget))
    if models := _models(known):
        table.add_row("model", one_line(", ".join(models), 200))
    if known.transcript is None and not known.result and overview.summary:
        table.add_row("goal", one_line(overview.summary, 200))
    if trouble := _trouble(known):
        table.add_row("trouble", Text(clean(trouble), "yellow"))
    table.add_row("time", _time(overview))
    if known.status and known.status.link > 1:
        table.add_row("link", f"{known.status.link} of its chain; what came before is in earlier links")
    for one in overview.pending:
        table.add_row("in flight", _flight(one, known.transcript or []))
    for call in known.result.in_flight if known.result else []:
        table.add_row("was in flight", f"{clean(call.tool)} (call {call.call_id}): {call.outcome}")
    if known.ui:
        table.add_row("ui", known.ui)
    return table


def _state(known: _Known) -> Text:
    if known.result:
        result = known.result
        detail = f" ({one_line(result.stop_detail, 200)})" if result.stop_detail else ""
        reason = "" if result.status == "completed" else f" · {result.stop_reason}{detail}"
        return Text.assemble((result.status, STATUS_STYLE.get(result.status, "")), reason)
    if known.problem:
        return Text(one_line(known.problem, 500), "red")
    if known.status:
        reason = f" · {known.status.stop_reason}" if known.status.stop_reason else ""
        return Text(f"{known.status.state} · step {known.status.step}{reason}")
    return Text(_word(known))


def _word(known: _Known) -> str:
    """Returns the state in one word, as `list` has it."""
    overview = known.overview
    if known.result:
        return known.result.status
    if not overview.open or overview.held_back:
        return overview.state
    if known.status:
        return known.status.state
    return "running" if overview.begun else "queued"


def _time(overview: Overview) -> str:
    end = overview.closed_at or datetime.now(UTC)
    lasted = f"{(end - overview.started_at).total_seconds():.1f} s"
    return f"started {overview.started_at.astimezone():%Y-%m-%d %H:%M:%S} · " + (
        f"closed after {lasted}" if overview.closed_at else f"open for {lasted}"
    )


def _flight(one: Pending, transcript: list[TranscriptItem]) -> str:
    calls = {call["call_id"]: call["tool"] for item in transcript for call in item.calls or []}
    what = f"{clean(calls[one.call_id])} (call {one.call_id})" if one.call_id in calls else clean(one.activity)
    attempt = f", attempt {one.attempt}" if one.attempt > 1 else ""
    trouble = f", after: {one_line(one.trouble, 120)}" if one.trouble else ""
    return f"{what}{'' if one.running else ' waiting for a worker'}{attempt}{trouble}"
