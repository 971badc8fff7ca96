"""`backstay control`: shows what is in force over all runs, and confirms it after the control plane was lost."""

from backstay.client import control_plane
from backstay.client.client import BackstayClient
from backstay.client.control_plane import Plane
from backstay.contracts import names
from backstay.contracts.control import ConfirmOrder
from backstay.kernel.control import InForce

from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.failure import START_WORKER
from ..shell.loop import run_loop
from ..shell.order import order
from ..shell.program import as_typed
from ..shell.terminal import Output, say, write, write_json
from ..views.in_force import counted, in_force_as_json, tables
from ..views.plane import how_it_stands


def status(output: Output) -> int:
    """Runs `backstay control status` and returns its exit code."""
    return run_loop(_status(output))


def confirm(reason: str, by: str | None, output: Output) -> int:
    """Runs `backstay control confirm` and returns its exit code."""
    return run_loop(_confirm(order(ConfirmOrder, by, reason), output))


async def _status(output: Output) -> int:
    temporal = (await connected()).client.temporal
    plane = await control_plane.in_force(temporal)
    workers = await BackstayClient(temporal, names.CONTROL_QUEUE).workers()
    if output is Output.JSON:
        write_json(_as_json(plane, workers))
        return ExitCode.COMPLETED
    served = f"{workers} on its task queue, `{names.CONTROL_QUEUE}`"
    if not workers:
        served = f"none serves its task queue, `{names.CONTROL_QUEUE}`, so it obeys no order; {START_WORKER}"
    write(f"control plane  {as_typed(how_it_stands(plane))}", f"workers        {as_typed(served)}")
    _write_tables(plane.state_in_force)
    if plane.lost:
        last = plane.last
        write("", f"last known     {counted(last) if last else 'not known: stops may have been lost'}")
        _write_tables(last)
    return ExitCode.COMPLETED


async def _confirm(given: ConfirmOrder, output: Output) -> int:
    temporal = (await connected()).client.temporal
    before = await control_plane.in_force(temporal)
    view = await control_plane.confirm(temporal, given)
    if output is Output.JSON:
        write_json({"confirmed": view.state.confirmed, **in_force_as_json(view.state)})
    if not before.lost:
        say("nothing to confirm: the control plane was not lost")
    else:
        if before.last is None:
            say("warning: nobody knows what was in force before the loss; give the stops again that must hold")
        say(f"confirmed; {counted(view.state)} in force")
        if output is Output.TABLE:
            _write_tables(view.state)
    return ExitCode.COMPLETED


def _write_tables(state: InForce | None) -> None:
    for table in tables(state) if state else ():
        write("", table)


def _as_json(plane: Plane, workers: int) -> dict[str, object]:
    state, view = plane.state_in_force, plane.view
    return {
        "state": plane.state,
        "confirmed": plane.state is control_plane.PlaneState.CONFIRMED,
        "since": plane.since.isoformat() if plane.since else None,
        "version": view.state.version if view else None,
        "workers": workers,
        "in_force": in_force_as_json(state) if state else None,
        "last_known": in_force_as_json(plane.last) if plane.last else None,
    }
