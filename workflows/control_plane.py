"""ControlPlane: what is in force over all runs, where each worker reads it and none can change it.

INVARIANT: an update is answered in the task that takes it in. Temporal takes ten updates of a workflow at a time, and
a stop must never wait behind one that waits itself.
"""

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

from backstay.contracts import names
from backstay.contracts.control import (
    AccessOrder,
    ConfirmOrder,
    ControlInput,
    ControlView,
    LiftOrder,
    LimitOrder,
    Order,
    StopOrder,
    TripOrder,
)
from backstay.contracts.incident import IncidentChange, IncidentInput
from backstay.contracts.problems import Problem
from backstay.contracts.run import plain
from backstay.kernel.control import Block, Canary, Incident, InForce, Mode, Refused, Stage, Told
from backstay.kernel.history import nearly_full
from backstay.kernel.keys import incident_workflow_id
from backstay.kernel.ledger_period import milliseconds
from backstay.kernel.markdown import inert
from backstay.kernel.scope import Scope

from .entity import failing
from .messages import fitting, invalid_input, repetitions

Ordered = TypeVar("Ordered", bound=Order)

SUMMARY = 180
CHANGES_PER_LINK = 100
"""After how many changes it continues as new: readers read a link from its start."""
_TEXTS = {
    Refused.UNKNOWN: "there is no incident of that id",
    Refused.ENDED: "the incident has been lifted whole; stop again under another id",
    Refused.OTHER: "the incident of that id stops something else",
}


@workflow.defn(name=names.CONTROL_PLANE)
class ControlPlane:
    """A workflow that keeps what is in force, and shows it in its memo."""

    @workflow.init
    def __init__(self, *args: Any) -> None:
        # Cron and retries have a run before them too; a state is believed from continue-as-new alone.
        given = repetitions() or ControlInput.read(args, continued=workflow.info().continued_run_id is not None)
        self._problems: list[Problem] = given if isinstance(given, list) else []
        self._last = None if isinstance(given, list) else given.last
        self._state = InForce()
        if not isinstance(given, list):
            self._state = given.state or InForce(confirmed=not given.lost)
        self._changes = 0
        self._changed_incidents: dict[str, Incident] = {}
        """The changes that the sweeps of incidents were not told yet."""

    @workflow.run
    async def run(self, *args: Any) -> None:
        """Keeps what is in force for ever, in one link after the other; never returns."""
        if self._problems:
            raise invalid_input(self._problems)
        # The next one that is started knows that this one was lost, and allows nothing until somebody confirms it.
        with failing("the control plane"):
            self._show()
            while not self._full() or self._changed_incidents:
                await workflow.wait_condition(lambda: bool(self._changed_incidents) or self._full())
                await self._tell_sweeps()
            await workflow.wait_condition(workflow.all_handlers_finished)
            given = ControlInput(state=self._state, last=self._last)
            workflow.continue_as_new(plain(given), memo={names.IN_FORCE: plain(self._view())})

    @workflow.update(name=names.STOP, description="Stops a part of the fleet.")
    def stop(self, *args: Any) -> dict[str, Any]:
        """Puts an incident in force."""
        order, told = self._read(StopOrder, args)
        mode = Mode.FREEZE if order.freeze else Mode.STOP
        incident = Incident(order.incident_id, Scope.read(order.scope), mode, told, engine=order.engine)
        return self._changed(self._state.stop(incident))

    @workflow.update(name=names.LIFT, description="Lifts a stop, in stages.")
    def lift(self, *args: Any) -> dict[str, Any]:
        """Opens stages of an incident."""
        order, told = self._read(LiftOrder, args)
        stage = Stage(order.stage)
        canary = Canary(frozenset(order.canaries), stage, order.watch) if order.canaries else None
        return self._changed(self._state.lift(order.incident_id, stage, told, canary))

    @workflow.update(name=names.TRIP, description="Puts a stop in force again whose first runs failed.")
    def trip(self, *args: Any) -> dict[str, Any]:
        """Closes all stages of an incident again."""
        order, told = self._read(TripOrder, args)
        return self._changed(self._state.trip_again(order.incident_id, told))

    @workflow.update(name=names.BLOCK, description="Blocks a tool.")
    def block(self, *args: Any) -> dict[str, Any]:
        """Blocks a tool for all, for an agent or for a tenant."""
        return self._access(args, self._state.block)

    @workflow.update(name=names.ALLOW, description="Allows a blocked tool again.")
    def allow(self, *args: Any) -> dict[str, Any]:
        """Takes back the block of the same tool, agent and tenant."""
        return self._access(args, self._state.allow)

    @workflow.update(name=names.LIMIT, description="Limits the runs at once of a tenant.")
    def limit(self, *args: Any) -> dict[str, Any]:
        """Limits the runs at once of a tenant, or takes the limit away."""
        order, _ = self._read(LimitOrder, args)
        return self._changed(self._state.limit(order.tenant, order.runs))

    @workflow.update(name=names.CONFIRM, description="Confirms what is in force after the control plane was lost.")
    def confirm(self, *args: Any) -> dict[str, Any]:
        """Puts the last known state in force again, with all that has come since."""
        self._read(ConfirmOrder, args)
        if self._state.confirmed:
            return plain(self._view())
        last, self._last = self._last, None
        return self._changed(self._state.confirm(last or InForce()))

    @workflow.query(name=names.IN_FORCE, description="What is in force over all runs. No input.")
    def in_force(self, *args: Any) -> dict[str, Any]:
        """Returns a `ControlView`."""
        return plain(self._view())

    def _read(self, model: type[Ordered], args: tuple[Any, ...]) -> tuple[Ordered, Told]:
        order = fitting(model, args)
        return order, Told(order.by, order.reason, milliseconds(workflow.now()))

    def _access(self, args: tuple[Any, ...], change: Callable[[Block], InForce]) -> dict[str, Any]:
        order, told = self._read(AccessOrder, args)
        return self._changed(change(Block(order.tool, order.agent, order.tenant, told)))

    def _changed(self, state: InForce | Refused) -> dict[str, Any]:
        """Puts a changed state in force, and answers with it.

        Raises:
            ApplicationError: of type `RefusedOrder`; the change was not made.
        """
        if isinstance(state, Refused):
            raise ApplicationError(_TEXTS[state], state.value, type=names.REFUSED_ORDER, non_retryable=True)
        self._changes += 1
        if state is not self._state:
            before, self._state = self._state.incidents, state
            changed = {name: one for name, one in state.incidents.items() if before.get(name) is not one}
            self._changed_incidents |= changed
            self._show()
        return plain(self._view())

    async def _tell_sweeps(self) -> None:
        """Tells the sweep of each changed incident, and starts those that are not there."""
        changed, self._changed_incidents = self._changed_incidents, {}
        for incident in changed.values():
            sweep_id = incident_workflow_id(incident.id)
            handle = workflow.get_external_workflow_handle(sweep_id)
            try:
                await workflow.start_child_workflow(
                    names.INCIDENT_RUN,
                    plain(IncidentInput(incident=incident)),
                    id=sweep_id,
                    task_queue=names.CONTROL_QUEUE,
                    # Whatever becomes of this workflow, the sweep goes on.
                    parent_close_policy=ParentClosePolicy.ABANDON,
                    static_summary=inert(f"{incident.scope}: {incident.told.reason}"[:SUMMARY]),
                )
            except WorkflowAlreadyStartedError:
                with contextlib.suppress(ApplicationError):  # it has ended meanwhile, with the incident
                    await handle.signal(names.CHANGED, plain(IncidentChange(incident=incident)))

    def _full(self) -> bool:
        info = workflow.info()
        return self._changes >= CHANGES_PER_LINK or nearly_full(
            info.get_current_history_size(), info.get_current_history_length()
        )

    def _show(self) -> None:
        """Writes what is in force where workers read it without asking any."""
        workflow.upsert_memo({names.IN_FORCE: plain(self._view())})

    def _view(self) -> ControlView:
        return ControlView(state=self._state, last=self._last, at_ms=milliseconds(workflow.now()))
