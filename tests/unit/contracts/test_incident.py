"""What an incident tells a run is read as strictly as the words of people."""

import json
import uuid
from typing import Any

import pytest

from backstay.contracts.incident import CallInFlight, IncidentInput, IncidentOrder, RunReport
from backstay.contracts.messages import read_message
from backstay.contracts.run import plain
from backstay.kernel.control import Incident, Mode, Told
from backstay.kernel.scope import Scope
from backstay.kernel.sweep import Sweep

GOOD = {"incident_id": "i1", "do": "freeze", "by": "olga@example.com", "reason": "it pays twice"}


def test_an_order_names_the_incident_and_what_becomes_of_the_run() -> None:
    order = read_message(IncidentOrder, (GOOD,))
    assert isinstance(order, IncidentOrder)
    assert (order.incident_id, order.do, order.by) == ("i1", "freeze", "olga@example.com")


@pytest.mark.parametrize(
    "change", [{"do": "melt"}, {"do": None}, {"incident_id": ""}, {"by": "a\x00"}, {"reason": ""}, {"more": 1}]
)
def test_an_order_that_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    assert isinstance(read_message(IncidentOrder, ({**GOOD, **change},)), list)


INCIDENT = Incident("i1", Scope.read("tenant:acme"), Mode.FREEZE, Told("olga", "why", 1), canary=None)


def test_a_sweep_is_begun_with_an_incident_and_continued_only_by_itself() -> None:
    given = plain(IncidentInput(incident=INCIDENT, sweep=Sweep(1).listed(["a"], 5).told(["a"], 5)))
    read = IncidentInput.read((given,), continued=True)
    assert isinstance(read, IncidentInput)
    assert (read.incident, read.sweep) == (INCIDENT, Sweep(1).listed(["a"], 5).told(["a"], 5))
    refused = IncidentInput.read((given,), continued=False)
    assert isinstance(refused, list)
    assert [problem.field for problem in refused] == ["sweep"]


def test_a_sweep_of_ten_thousand_runs_is_handed_on_in_one_payload() -> None:
    runs = [str(uuid.uuid4()) for _ in range(10_000)]
    calls = [CallInFlight(call_id="12-0", tool="mcp:warehouse/move_goods")]
    reports = [RunReport(run_id=run, outcome="frozen", in_flight=calls, usd="0.0132") for run in runs]
    sweep = Sweep(1).listed(runs, 5).told(runs, 5).account(runs)
    given = IncidentInput(incident=INCIDENT, sweep=sweep, reports=reports)
    written = json.dumps(plain(given))
    assert len(written) < 2_000_000
    assert IncidentInput.read((json.loads(written),), continued=True) == given


@pytest.mark.parametrize("args", [(), ({}, {}), ("x",), ({"incident": {}},)])
def test_a_sweep_without_an_incident_is_a_list_of_problems(args: tuple[Any, ...]) -> None:
    assert isinstance(IncidentInput.read(args, continued=False), list)
