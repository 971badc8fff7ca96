"""Chooses runs: asks Temporal's index for those that may fit, and looks at each as it is shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, get_args

from backstay.adapters.engine.executions import PAUSED, Execution
from backstay.contracts import names
from backstay.contracts.status import State
from backstay.errors import ConfigurationError
from backstay.kernel.stop import StopReason

from .claim import Claim
from .ending import ENGINE_REASONS, REFUSED

CLOSED = "closed"
_STATUS: Mapping[str, str] = {
    "completed": "Completed",
    "stopped": "Completed",
    "failed": "Failed",
    "canceled": "Canceled",
    "terminated": "Terminated",
    "timed_out": "TimedOut",
}
"""The states in which a closed run is shown, with the status that the engine has for each."""

CLOSED_STATES = (CLOSED, *_STATUS)
"""The states in which no open run is shown."""

STATES = (*get_args(State), PAUSED, *_STATUS)
"""Every state that a list shows, and `closed` for all that have ended."""
REASONS = (*(reason.value for reason in StopReason), *(one for one in ENGINE_REASONS))


class Shown(Protocol):
    """A run as a list shows it."""

    @property
    def state(self) -> str: ...
    @property
    def agent(self) -> str | None: ...
    @property
    def tenant(self) -> str | None: ...
    @property
    def stop_reason(self) -> str | None: ...
    @property
    def claim(self) -> Claim | None: ...
    @property
    def open(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class RunFilter:
    """A choice of runs; None chooses all."""

    state: str | None = None
    agent: str | None = None
    tenant: str | None = None
    stop_reason: str | None = None

    def query(self, task_queue: str) -> str:
        """Returns a query of Temporal's index that finds the chosen runs of a task queue, and some more.

        Raises:
            ConfigurationError: a value holds a quotation mark or a backslash.
        """
        clauses = [f'WorkflowType = "{names.AGENT_RUN}"', f'TaskQueue = "{plain(task_queue)}"']
        clauses += self._of_state() + self._of_reason()
        for name, value in (("BackstayAgent", self.agent), ("BackstayTenant", self.tenant)):
            if value is not None:
                # A start that was refused has no attributes; what it asked for stands in its history.
                clauses.append(f'({name} = "{plain(value)}" OR ({name} IS NULL AND ExecutionStatus = "Failed"))')
        return " AND ".join(clauses)

    @property
    def of_somebody(self) -> bool:
        """Tells whether runs of one agent or tenant are chosen, which of a refused start is only a claim."""
        return self.agent is not None or self.tenant is not None

    def chooses(self, run: Shown) -> bool:
        """Tells whether a run is chosen as it is shown."""
        whose = run.claim or run
        pairs = ((self.agent, whose.agent), (self.tenant, whose.tenant), (self.stop_reason, run.stop_reason))
        state = self.state in (None, run.state) or (self.state == CLOSED and not run.open)
        return state and all(wanted in (None, shown) for wanted, shown in pairs)

    def excludes(self, found: Execution, stop_reason: str | None) -> bool:
        """Tells whether a run is certainly not chosen, by what the index alone says; that saves a look at it."""
        if found.state != "completed" or stop_reason is None:
            return False
        return self.state == ("stopped" if stop_reason == StopReason.COMPLETED else "completed")

    def _of_state(self) -> list[str]:
        if self.state is None:
            return []
        if self.state == CLOSED:
            return ["CloseTime IS NOT NULL"]
        if self.state in _STATUS:
            return [f'ExecutionStatus = "{_STATUS[self.state]}"']
        # Not by status: an execution that the server has paused is no longer `Running`. What a run that has not begun
        # says of itself its starter wrote.
        written = {"waiting_approval", "waiting_input", "paused", "stopping"}
        own = [f'BackstayState = "{plain(self.state)}"'] if self.state in written else []
        return ["CloseTime IS NULL", *own]

    def _of_reason(self) -> list[str]:
        if self.stop_reason is None:
            return []
        if self.stop_reason == REFUSED:
            return ['ExecutionStatus = "Failed"']
        if self.stop_reason in ENGINE_REASONS:
            return [f'ExecutionStatus = "{_STATUS[self.stop_reason]}"']
        return [f'BackstayStopReason = "{plain(self.stop_reason)}"']


def plain(value: str) -> str:
    """Returns a value that may stand in quotation marks in a query.

    Raises:
        ConfigurationError: it holds a quotation mark or a backslash.
    """
    if '"' in value or "\\" in value:
        raise ConfigurationError("a filter holds a quotation mark or a backslash", mend="leave it out")
    return value
