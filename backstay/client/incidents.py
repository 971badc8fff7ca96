"""Reads how the sweeps of incidents have come along, and what became of each run; progress needs no worker."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from temporalio.client import Client, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError, RPCStatusCode

from backstay.adapters.engine.control import unencrypted
from backstay.adapters.engine.errors import in_our_words
from backstay.adapters.engine.executions import described
from backstay.contracts import names
from backstay.contracts.incident import IncidentView, ReportPage, RunReport
from backstay.errors import CodecError
from backstay.kernel.keys import incident_workflow_id

_PATIENCE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Report:
    """The report of an incident.

    Attributes:
        view: how far its sweep has come.
        runs: what became of each run in scope, by id; empty where no worker answers.
        whole: whether `runs` has all of them.
    """

    view: IncidentView
    runs: tuple[RunReport, ...]
    whole: bool

    @property
    def accounted(self) -> bool:
        """Tells whether it is known of each run in scope that it was stopped, frozen or done."""
        stuck = any(one.outcome == "could_not_stop" for one in self.runs)
        return self.whole and self.view.done and not stuck and not self.view.moving


async def progress(client: Client, incident_id: str) -> IncidentView | None:
    """Returns how far a sweep has come; None where it has not begun, or is not known.

    Raises:
        UnreachableError: Temporal does not answer.
    """
    sweep_id = incident_workflow_id(incident_id)
    with in_our_words(client, sweep_id):
        try:
            found = await described(unencrypted(client), sweep_id, timeout=_PATIENCE)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        try:
            return IncidentView.model_validate(await found.memo_value(names.INCIDENT))
        except (ValidationError, CodecError):
            return None


async def report(client: Client, incident_id: str) -> Report | None:
    """Returns the report of an incident as it is now; None where there is none.

    Raises:
        UnreachableError: Temporal does not answer.
    """
    runs: list[RunReport] = []
    after: int | None = 0
    view: IncidentView | None = None
    handle: Any = unencrypted(client).get_workflow_handle(incident_workflow_id(incident_id))
    try:
        while after is not None:
            answer = await handle.query(names.REPORT, {"after": after}, rpc_timeout=_PATIENCE)
            page = ReportPage.model_validate(answer)
            runs += page.reports
            view, after = page, page.next
    except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError, ValidationError):
        view = view or await progress(client, incident_id)
    return None if view is None else Report(view, tuple(runs), after is None)
