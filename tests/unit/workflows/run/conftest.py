"""The parts of a run outside of any engine, with a time that a test moves."""

from datetime import UTC, datetime, timedelta

import pytest

from backstay.contracts.admission import Admission, ModelSpec
from backstay.contracts.run import RunRequest
from backstay.kernel.budget import Limits
from backstay.kernel.stop import Thresholds
from workflows.run.clock import Clock
from workflows.run.live import LiveRun
from workflows.run.record import Record
from workflows.run.running import Running


class Time:
    """The workflow's time."""

    def __init__(self) -> None:
        self.now = datetime(2026, 5, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def record(time: Time) -> Record:
    return Record(time)


@pytest.fixture
def clock(record: Record, time: Time) -> Clock:
    clock = Clock(record, time, time.now)
    record.heed(clock.heed)
    return clock


@pytest.fixture
def admission() -> Admission:
    model = ModelSpec(name="m", api="chat", max_output_tokens=100, give_up_after=600.0, price=None)
    return Admission(
        agent="clerk",
        agent_version="sha256:1",
        instructions="Be careful.",
        model=model,
        tools=[],
        limits=Limits(seconds=60),
        thresholds=Thresholds(),
        policy_version="sha256:2",
    )


@pytest.fixture
def run(admission: Admission, record: Record, clock: Clock) -> LiveRun:
    request = RunRequest(goal="Refund order A17.", agent="clerk", requested_by="ann@example.com")
    return LiveRun(request, admission, record=record, clock=clock, running=Running(record))
