"""The link of its chain that a run is in, and when another one is due."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from temporalio import workflow

from backstay.contracts.admission import Admission, LinkSpec
from backstay.contracts.carry import Carried
from backstay.kernel.history import Extent, nearly_full
from workflows.run.chain import Chain
from workflows.run.live import LiveRun
from workflows.run.messages import Messages
from workflows.run.prove import Proofs


@dataclass
class History:
    """A history that a test lets grow."""

    events: int = 0
    size: int = 0
    suggested: bool = False
    workflow_start_time: datetime = datetime(2026, 5, 1, tzinfo=UTC)

    def get_current_history_length(self) -> int:
        return self.events

    def get_current_history_size(self) -> int:
        return self.size

    def is_continue_as_new_suggested(self) -> bool:
        return self.suggested


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch) -> History:
    found = History()
    monkeypatch.setattr(workflow, "info", lambda: found)
    return found


@pytest.fixture
def chain(run: LiveRun, history: History) -> Chain:
    return Chain(Messages(run.record, run.clock, [], Proofs(run.record, run.clock, run.running, None)), None)


@pytest.fixture
def due(chain: Chain, admission: Admission) -> Callable[[], bool]:
    linked = admission.model_copy(update={"links": LinkSpec(events=40, size=1_000, messages=10)})
    return lambda: chain.due(linked)


def test_the_first_link_says_when_the_engine_took_the_run(chain: Chain) -> None:
    assert (chain.link, chain.begun_ms) == (1, 1_777_593_600_000)


def test_a_run_that_was_admitted_without_links_has_one(chain: Chain, history: History, admission: Admission) -> None:
    history.events = 50_000
    assert not chain.due(admission)


@pytest.mark.parametrize(
    ("grown", "is_due"), [({"events": 39}, False), ({"events": 40}, True), ({"size": 1_000}, True)]
)
def test_another_link_is_due_by_events_and_by_bytes(
    due: Callable[[], bool], history: History, grown: dict[str, int], is_due: bool
) -> None:
    vars(history).update(grown)
    assert due() is is_due


def test_what_was_handed_on_is_no_growth(chain: Chain, due: Callable[[], bool], history: History) -> None:
    history.events = 60
    chain.opens()
    assert (due(), chain.opened) == (False, Extent(60, 0))
    history.events = 100
    assert due()


def test_a_run_that_has_too_much_to_take_along_looks_again_later(
    chain: Chain, due: Callable[[], bool], history: History
) -> None:
    history.events = 45
    assert due()
    chain.put_off()
    history.events = 84
    assert not due()
    history.events = 85
    assert due()


def test_the_engine_may_suggest_it_earlier(due: Callable[[], bool], history: History) -> None:
    history.events, history.suggested = 10, True
    assert due()


def test_a_long_conversation_that_is_being_handed_on_does_not_fill_a_history(run: LiveRun, history: History) -> None:
    messages = Messages(run.record, run.clock, [], Proofs(run.record, run.clock, run.running, None))
    chain = Chain(messages, Carried.model_construct(link=2, begun_ms=1))
    history.size = 20_000_000
    assert not nearly_full(history.size, 100, handed=chain.handed)
    chain.opens()
    assert (chain.link, chain.handed) == (2, 20_000_000)
    assert nearly_full(46_000_000, 100, handed=chain.handed)
