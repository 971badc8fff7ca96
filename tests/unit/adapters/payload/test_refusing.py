"""An activity with a payload that cannot be read does not begin."""

from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from backstay.adapters.payload.refusing import Refusing
from backstay.adapters.payload.tolerant import UNREADABLE


class Begun(ActivityInboundInterceptor):
    """The activity itself."""

    def __init__(self) -> None:
        self.args: list[Any] = []

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        self.args = list(input.args)
        return "done"


async def executed(*args: Any) -> Any:
    """Returns what the worker gets of an activity with these arguments."""
    begun = Begun()
    given = ExecuteActivityInput(fn=executed, args=args, executor=None, headers={})
    return await ActivityEnvironment().run(Refusing().intercept_activity(begun).execute_activity, given)


async def test_a_payload_that_can_be_read_is_handed_on() -> None:
    assert await executed("given", 5) == "done"


async def test_one_that_cannot_is_refused_for_good() -> None:
    with pytest.raises(ApplicationError, match="cannot be read") as caught:
        await executed("given", UNREADABLE)
    assert (caught.value.type, caught.value.non_retryable) == ("CodecError", True)
