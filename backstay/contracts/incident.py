"""Defines the orders of an incident to the runs in its scope, and its report of them."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from backstay.kernel.control import Incident
from backstay.kernel.sweep import Sweep

from .control import IncidentId, LiftOrder, Order, ScopeText, TripOrder
from .link import LinkInput
from .packed import Packed
from .problems import Contract
from .queue_hold import EngineHold

STANDING_KEY = "backstay.incidents"
"""The key of a run's memo that tells which incidents hold it."""
ROWS_PER_PAGE = 200
Outcome = Literal["stopped", "frozen", "already_done", "could_not_stop", "effect_unknown"]
OUTCOMES: tuple[Outcome, ...] = ("stopped", "frozen", "already_done", "could_not_stop", "effect_unknown")


class IncidentOrder(Order):
    """Ends a run, holds it, or lets it go on: sent by the sweep of an incident.

    Attributes:
        incident_id: the incident.
        do: `stop` ends the run, `freeze` holds it, `thaw` lets it go on.
        scope: what the incident is about; a run outside of it does nothing.
    """

    incident_id: IncidentId
    do: Literal["stop", "freeze", "thaw"]
    scope: ScopeText = "all"


class CallInFlight(Contract):
    """A call that was under way when a run was stopped or frozen.

    Attributes:
        call_id: the call.
        tool: its tool.
        outcome: how it ended; None while it is under way.
    """

    call_id: str
    tool: str
    outcome: str | None = None


class Held(Contract):
    """Stands in a run's memo while incidents hold it.

    Attributes:
        by: the execution that wrote it: nobody knows it who writes a start.
        incidents: the ids of the incidents.
        usd: what the run had spent when the last of them came.
        in_flight: the calls that were under way then.
    """

    by: str
    incidents: list[str]
    usd: str = "0.00"
    in_flight: list[CallInFlight] = Field(default_factory=list[CallInFlight])


class RunReport(Contract):
    """Reports one run in the scope of an incident.

    Attributes:
        run_id: the run.
        outcome: `stopped` or `frozen` by the incident; `already_done` where it ended by itself; `could_not_stop` where
            it did neither in time; `effect_unknown` where a call was under way of which nobody can tell whether it
            happened.
        detail: more about it, in words.
        in_flight: the calls that were under way.
        usd: what the run had spent; None where nobody can tell.
        failed: whether the run ended by a failure, which a person did not want.
    """

    run_id: str
    outcome: Outcome
    detail: str | None = None
    in_flight: list[CallInFlight] = Field(default_factory=list[CallInFlight])
    usd: str | None = None
    failed: bool = False


class FindInput(Contract):
    """Asks for the open runs in the scope of an incident.

    Attributes:
        incident: the incident.
        closed: asks also for the runs that were open when it came and have closed since.
        after: where an earlier answer ended; None for the first.
    """

    incident: Incident
    closed: bool = False
    after: str | None = None


class FoundRun(Contract):
    """An open run in scope; `held` is what it shows where this incident holds it."""

    run_id: str
    held: Held | None = None


class FindResult(Contract):
    """A part of the runs in scope; Temporal takes two megabytes of an answer, and a fleet may have any size.

    Attributes:
        runs: the open ones.
        closed: the ids of those that were open when the stop came, if they were wanted.
        next: the `after` of the following part; None at the end.
    """

    runs: list[FoundRun]
    closed: list[str] = Field(default_factory=list[str])
    next: str | None = None


class TellInput(Contract):
    """Asks to send runs an order."""

    runs: list[str]
    order: IncidentOrder


class Told(Contract):
    """The runs that an order could not be sent to, and why; those that have closed are not among them."""

    failed: dict[str, str] = Field(default_factory=dict[str, str])


class AccountInput(Contract):
    """Asks what became of runs."""

    incident: Incident
    runs: list[str]


class AccountResult(Contract):
    """Reports runs; those that are open and not held are told as `could_not_stop`."""

    reports: list[RunReport]


class PlaneInput(Contract):
    """Asks to send the control plane an order; one of these.

    Attributes:
        lift: opens stages of an incident.
        trip: closes them again.
    """

    lift: LiftOrder | None = None
    trip: TripOrder | None = None


class IncidentInput(LinkInput):
    """The input of `Incident`.

    Attributes:
        incident: the incident, as the control plane has it.
        sweep: handed on by an earlier link alone.
        reports: likewise.
        engine: likewise, what the engine holds.
    """

    handed_on: ClassVar[tuple[str, ...]] = ("sweep", "reports", "engine")

    incident: Incident
    sweep: Packed[Sweep] | None = None
    reports: Packed[list[RunReport]] | None = None
    engine: EngineHold | None = None


class IncidentChange(Contract):
    """Tells the sweep of an incident what the control plane has in force of it now."""

    incident: Incident


class IncidentView(Contract):
    """Describes the progress of an incident's sweep.

    Attributes:
        incident: the incident.
        done: whether each run in scope is accounted for.
        moving: how many runs in scope still move.
        counts: how many runs ended in which way.
        at_ms: when this was so.
        engine: what the engine holds and what it cannot hold; None where it was not asked to, or has not yet.
    """

    incident: Incident
    done: bool
    moving: int
    counts: dict[str, int]
    at_ms: int
    engine: EngineHold | None = None


class ReportRequest(Contract):
    """Asks for a part of the report: the runs after so many."""

    after: Annotated[int, Field(ge=0, strict=True)] = 0


class ReportPage(IncidentView):
    """A part of the report; `next` is the `after` of the following part, None at the end."""

    reports: list[RunReport]
    next: int | None
