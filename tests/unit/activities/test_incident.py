"""The runs in the scope of an incident are looked at, told side by side, and accounted for."""

from typing import TypeVar

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.incident import Incidents
from backstay.contracts.control import TripOrder
from backstay.contracts.incident import (
    AccountInput,
    CallInFlight,
    FindInput,
    FoundRun,
    Held,
    IncidentOrder,
    PlaneInput,
    RunReport,
    TellInput,
)
from backstay.errors import HistoryError
from backstay.kernel.control import Incident, Mode, Told
from backstay.kernel.scope import Scope

STOP = Incident("i1", Scope.read("all"), Mode.STOP, Told("olga", "it pays twice", 1))
ORDER = IncidentOrder(incident_id="i1", do="stop", by="olga", reason="it pays twice")


R = TypeVar("R")


def _part(rows: list[R], after: bytes, count: int) -> tuple[list[R], bytes]:
    """Some rows, as the engine lists them."""
    begin = int(after or b"0")
    end = begin + count
    return rows[begin:end], str(end).encode() if end < len(rows) else b""


class FakeRuns:
    """Two open runs, of which the engine takes no signal for one."""

    def __init__(self) -> None:
        self.open = [FoundRun(run_id="a"), FoundRun(run_id="b")]
        self.closed = ["c"]
        self.told: list[str] = []
        self.ordered: list[PlaneInput] = []
        self.fault: HistoryError | None = None

    def _check(self) -> None:
        if self.fault:
            raise self.fault

    async def open_runs(self, incident: Incident, after: bytes, rows: int) -> tuple[list[FoundRun], bytes]:
        self._check()
        return _part(self.open, after, rows)

    async def closed_runs(self, incident: Incident, after: bytes, rows: int) -> tuple[list[str], bytes]:
        self._check()
        return _part(self.closed, after, rows)

    async def tell(self, run_id: str, order: IncidentOrder) -> None:
        if run_id == "b":
            raise HistoryError("the engine did not take it")
        self.told.append(f"{run_id} {order.do}")

    async def report(self, run_id: str, incident: Incident) -> RunReport:
        self._check()
        return RunReport(run_id=run_id, outcome="stopped", usd="0.01")

    async def order(self, given: PlaneInput) -> None:
        self._check()
        self.ordered.append(given)


async def test_open_runs_are_found_and_accounted_for() -> None:
    env, runs = ActivityEnvironment(), FakeRuns()
    found = await env.run(Incidents(runs).find, FindInput(incident=STOP))
    assert ([one.run_id for one in found.runs], found.closed) == (["a", "b"], [])
    assert (await env.run(Incidents(runs).find, FindInput(incident=STOP, closed=True))).closed == ["c"]
    known = await env.run(Incidents(runs).account, AccountInput(incident=STOP, runs=["a", "b"]))
    assert [(one.run_id, one.outcome) for one in known.reports] == [("a", "stopped"), ("b", "stopped")]


def frozen(number: int, calls: int) -> FoundRun:
    flight = [CallInFlight(call_id=f"12-{call}", tool="mcp:warehouse/move_goods") for call in range(calls)]
    return FoundRun(run_id=f"run-{number:036}", held=Held(by="x" * 36, incidents=["i1"], in_flight=flight))


@pytest.mark.parametrize(
    ("runs", "calls", "closed", "answers"), [(20_000, 1, 0, 11), (3_000, 40, 0, 14), (10, 1, 20_000, 3), (0, 0, 0, 1)]
)
async def test_however_many_runs_there_are_each_answer_fits_and_together_they_tell_all(
    runs: int, calls: int, closed: int, answers: int
) -> None:
    env, fake = ActivityEnvironment(), FakeRuns()
    fake.open = [frozen(number, calls) for number in range(runs)]
    fake.closed = [f"run-{number:036}" for number in range(closed)]
    found = [await env.run(Incidents(fake).find, FindInput(incident=STOP, closed=True))]
    while found[-1].next is not None:
        found.append(await env.run(Incidents(fake).find, FindInput(incident=STOP, closed=True, after=found[-1].next)))
    assert [one for page in found for one in page.runs] == fake.open
    assert [one for page in found for one in page.closed] == fake.closed
    assert max(len(page.model_dump_json()) for page in found) < 2_000_000
    assert len(found) <= answers


async def test_a_run_that_cannot_be_told_keeps_none_of_the_others_from_it() -> None:
    runs = FakeRuns()
    told = await ActivityEnvironment().run(Incidents(runs).tell, TellInput(runs=["b", "a"], order=ORDER))
    assert (runs.told, told.failed) == (["a stop"], {"b": "the engine did not take it"})


async def test_an_order_goes_to_the_control_plane() -> None:
    runs, given = FakeRuns(), PlaneInput(trip=TripOrder(by="the runs", reason="failed", incident_id="i1"))
    await ActivityEnvironment().run(Incidents(runs).order, given)
    assert runs.ordered == [given]


@pytest.mark.parametrize("name", ["find", "account", "order"])
async def test_an_engine_that_does_not_answer_is_asked_again(name: str) -> None:
    env, runs = ActivityEnvironment(), FakeRuns()
    runs.fault = HistoryError("the engine could not be asked")
    incidents = Incidents(runs)
    calls = {
        "find": lambda: env.run(incidents.find, FindInput(incident=STOP)),
        "account": lambda: env.run(incidents.account, AccountInput(incident=STOP, runs=["a"])),
        "order": lambda: env.run(incidents.order, PlaneInput()),
    }
    with pytest.raises(ApplicationError, match="could not be asked") as failed:
        await calls[name]()
    assert (failed.value.type, failed.value.non_retryable) == ("HistoryError", False)
