"""A query that a worker refuses for now is put again, and one that the run refuses is not."""

from datetime import timedelta
from typing import Any, cast

import pytest
from temporalio.client import WorkflowHandle, WorkflowQueryFailedError

from backstay.adapters.engine.asking import queried
from backstay.contracts import names


class Handle:
    """A run that refuses its first queries."""

    def __init__(self, *refusals: str) -> None:
        self.refusals = list(refusals)
        self.asked = 0

    async def query(self, name: str, *, args: list[Any], rpc_timeout: timedelta) -> str:
        self.asked += 1
        if self.refusals:
            raise WorkflowQueryFailedError(self.refusals.pop(0))
        return f"{name} {args}"


async def asked(handle: Handle) -> Any:
    return await queried(cast("WorkflowHandle[Any, Any]", handle), "status", [1], timedelta(seconds=1))


async def test_a_query_is_put_again_until_the_run_has_gone_on() -> None:
    assert await asked(handle := Handle(*[names.ASK_AGAIN] * 3)) == "status [1]"
    assert handle.asked == 4


@pytest.mark.parametrize(
    ("refusals", "asks"), [(["no such page"], 1), ([names.ASK_AGAIN, "no such page"], 2), ([names.ASK_AGAIN] * 9, 4)]
)
async def test_a_refusal_of_the_run_ends_it(refusals: list[str], asks: int) -> None:
    handle = Handle(*refusals)
    with pytest.raises(WorkflowQueryFailedError):
        await asked(handle)
    assert handle.asked == asks
