"""`notify`: one notice, to the agent it is about."""

import json

import pytest
from temporalio.exceptions import ApplicationError

from activities.notify import Notify
from backstay.contracts.approval import Notice, PendingApproval
from backstay.errors import ForeignRunError

from .world import World

NOTICE = Notice(
    event="opened",
    run_id="refund-A17",
    agent="clerk",
    tenant="acme",
    approval=PendingApproval(
        approval_id="apr_1",
        kind="action",
        tool="pay",
        args={"amount": 5},
        digest="sha256:d",
        groups=["finance"],
        required=1,
        answered_by=[],
        rules=["ask-finance"],
        reasons=[],
        requested_at="2026-01-01T00:00:00.000Z",
        expires_at="2026-01-02T00:00:00.000Z",
    ),
)


async def test_a_notice_is_sent_as_json_to_where_the_agent_announces_its_approvals(world: World) -> None:
    await world.env.run(Notify(world.conversations, world.notifier).notify, NOTICE)
    [(agent, message)] = world.notifier.sent
    assert agent == "clerk"
    assert Notice.model_validate_json(json.dumps(message)) == NOTICE


async def test_a_notice_that_is_not_taken_fails_so_that_the_engine_tries_again(world: World) -> None:
    world.notifier.fault = ConnectionError("nobody listens")
    with pytest.raises(ConnectionError, match="nobody listens"):
        await world.env.run(Notify(world.conversations, world.notifier).notify, NOTICE)


@pytest.mark.parametrize("lie", [{"run_id": "another"}, {"agent": "mallory"}, {"tenant": "globex"}])
async def test_a_notice_that_is_not_of_the_run_that_asks_is_not_sent(world: World, lie: dict[str, str]) -> None:
    with pytest.raises(ApplicationError, match="another run") as refused:
        await world.env.run(Notify(world.conversations, world.notifier).notify, NOTICE.model_copy(update=lie))
    assert (refused.value.type, refused.value.non_retryable) == ("ForeignRun", True)
    assert world.notifier.sent == []


async def test_a_workflow_that_is_no_run_of_ours_sends_nothing(world: World) -> None:
    world.history.fault = ForeignRunError("no run of ours")
    with pytest.raises(ApplicationError, match="no run of ours") as refused:
        await world.env.run(Notify(world.conversations, world.notifier).notify, NOTICE)
    assert (refused.value.type, refused.value.non_retryable) == ("ForeignRun", True)
    assert world.notifier.sent == []
