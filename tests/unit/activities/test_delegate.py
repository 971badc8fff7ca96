"""`delegate`: what became of a child run that was started before its parent was reset."""

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import delegate
from activities.delegate import FOREIGN, Delegate
from backstay.contracts.delegate import ChildEnd, ChildRef
from backstay.errors import ForeignRunError, HistoryError

from .fakes import FakeStarts

CHILD = ChildRef(call_id="1-0", run_id="refund-A17/child-1-0-abc")
END = ChildEnd(refused="no")


async def asked(starts: FakeStarts) -> ChildEnd:
    return await ActivityEnvironment().run(Delegate(starts).delegate, CHILD)


async def test_the_end_of_a_child_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delegate, "LOOK_SECONDS", 0.001)
    assert await asked(FakeStarts(ends=[None, None, END])) == END


async def test_another_workflow_of_its_id_is_no_child() -> None:
    assert (await asked(FakeStarts(ends=[ForeignRunError("no")]))).refused == FOREIGN


async def test_an_engine_that_does_not_say_is_asked_again() -> None:
    with pytest.raises(ApplicationError) as caught:
        await asked(FakeStarts(ends=[HistoryError("away")]))
    assert (caught.value.type, caught.value.non_retryable) == ("HistoryError", False)
