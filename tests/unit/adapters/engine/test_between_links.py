"""An update that meets the end of a link is sent again at once; every other refusal is left to the SDK."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.workflowservice.v1 import UpdateWorkflowExecutionRequest, UpdateWorkflowExecutionResponse
from temporalio.service import ConnectConfig, RPCError, RPCStatusCode, ServiceClient

from backstay.adapters.engine import between_links
from backstay.adapters.engine.between_links import PromptUpdates

ENDS = RPCError(
    "workflow operation can not be applied because workflow is closing", RPCStatusCode.RESOURCE_EXHAUSTED, b""
)
BUSY = RPCError("namespace rate limit exceeded", RPCStatusCode.RESOURCE_EXHAUSTED, b"")
AWAY = RPCError("tcp connect error", RPCStatusCode.UNAVAILABLE, b"")
LATE = RPCError("context deadline exceeded", RPCStatusCode.DEADLINE_EXCEEDED, b"")
GONE = RPCError("workflow execution already completed", RPCStatusCode.NOT_FOUND, b"")


class Server(ServiceClient):
    """A server that refuses an update some times; `asked` has for each time whether the SDK may repeat it."""

    def __init__(self, *refusals: RPCError) -> None:
        super().__init__(ConnectConfig(target_host="nowhere:7233"))
        self._refusals = list(refusals)
        self.asked: list[bool] = []

    @property
    def worker_service_client(self) -> Any:
        raise NotImplementedError

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        raise NotImplementedError

    def update_api_key(self, api_key: str | None) -> None:
        raise NotImplementedError

    async def _rpc_call(
        self,
        rpc: str,
        req: Any,
        resp_type: Any,
        *,
        service: str,
        retry: bool,
        metadata: Mapping[str, str | bytes],
        timeout: timedelta | None,  # noqa: ASYNC109
    ) -> Any:
        assert (rpc, timeout) == ("update_workflow_execution", timedelta(seconds=5))
        self.asked.append(retry)
        if self._refusals:
            raise self._refusals.pop(0)
        return resp_type()


async def updated(server: Server, *, retry: bool = True) -> UpdateWorkflowExecutionResponse:
    request = UpdateWorkflowExecutionRequest()
    return await PromptUpdates(server).update_workflow_execution(request, retry=retry, timeout=timedelta(seconds=5))


async def test_an_update_that_meets_the_end_of_a_link_is_sent_again_at_once() -> None:
    server = Server(ENDS, ENDS)
    await updated(server)
    assert server.asked == [False, False, False]


@pytest.mark.parametrize("refusal", [BUSY, AWAY])
async def test_what_the_sdk_repeats_for_another_reason_is_left_to_it(refusal: RPCError) -> None:
    server = Server(refusal)
    await updated(server)
    assert server.asked == [False, True]


@pytest.mark.parametrize("refusal", [GONE, LATE])
async def test_what_the_sdk_does_not_repeat_is_not_repeated(refusal: RPCError) -> None:
    server = Server(refusal)
    with pytest.raises(RPCError) as caught:
        await updated(server)
    assert caught.value is refusal
    assert server.asked == [False]


async def test_a_link_that_does_not_end_soon_is_left_to_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(between_links, "LONGEST_SECONDS", 0.05)
    server = Server(*[ENDS] * 10)
    with pytest.raises(RPCError):
        await updated(server)
    assert server.asked[-1] is True
    assert len(server.asked) < 10


async def test_who_asks_once_is_answered_once() -> None:
    server = Server(ENDS)
    with pytest.raises(RPCError):
        await updated(server, retry=False)
    assert server.asked == [False]
