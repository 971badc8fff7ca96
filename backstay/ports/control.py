"""The ports of the control plane: what is in force, and the runs in the scope of an incident."""

from typing import Protocol

from backstay.contracts.control import StopOrder
from backstay.contracts.incident import FoundRun, IncidentOrder, PlaneInput, RunReport
from backstay.kernel.breaker import Report
from backstay.kernel.control import Block, Held, Incident, InForce, Stage
from backstay.kernel.scope import Subject


class Control(Protocol):
    """Knows what the control plane has in force."""

    def holds(self, stage: Stage, subject: Subject) -> Held | None:
        """Returns why a run may not do something now; None where it may."""
        ...

    def blocked(self, subject: Subject) -> Block | None:
        """Returns the block of a call; None where its tool may be called."""
        ...

    def at_once(self, tenant: str) -> int | None:
        """Returns how many runs of a tenant may go on at once; None where the control plane sets no limit."""
        ...


class ScopedRuns(Protocol):
    """The runs in the scope of an incident, and the control plane that has it in force."""

    async def open_runs(self, incident: Incident, after: bytes, rows: int) -> tuple[list[FoundRun], bytes]:
        """Returns some of the open runs in scope, and where they end.

        Args:
            incident: the incident.
            after: where the runs before them ended; empty for the first.
            rows: how many runs are looked at.

        Returns:
            The runs, and the `after` of the following ones; empty at the end.

        Raises:
            HistoryError: the engine could not be asked.
        """
        ...

    async def closed_runs(self, incident: Incident, after: bytes, rows: int) -> tuple[list[str], bytes]:
        """Returns some of the runs in scope that were open when the stop came and have closed since, likewise.

        Raises:
            HistoryError: the engine could not be asked.
        """
        ...

    async def tell(self, run_id: str, order: IncidentOrder) -> None:
        """Sends a run an order; does nothing where it has closed.

        Raises:
            HistoryError: the engine did not take it.
        """
        ...

    async def report(self, run_id: str, incident: Incident) -> RunReport:
        """Returns what became of a run.

        Raises:
            HistoryError: the engine could not be asked.
        """
        ...

    async def order(self, given: PlaneInput) -> None:
        """Sends the control plane an order; one that it refuses changes nothing.

        Raises:
            HistoryError: it did not answer.
        """
        ...


class Orders(Protocol):
    """The control plane, as those ask it who change what is in force."""

    async def stop(self, order: StopOrder) -> str | None:
        """Puts a stop in force; returns why it is refused, None where it is not.

        Raises:
            HistoryError: the control plane does not answer.
        """
        ...

    async def in_force(self) -> InForce:
        """Returns all that is in force.

        Raises:
            HistoryError: the control plane cannot be asked.
        """
        ...


class BreakerReports(Protocol):
    """The way to tell breakers what ends on this worker."""

    def tell(self, report: Report) -> None:
        """Takes down what ended, or an alarm, to be told soon; neither waits nor raises; any thread may call it."""
        ...
