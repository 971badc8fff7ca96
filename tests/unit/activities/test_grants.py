"""`give_grant` and `use_grant`: tenant, agent and requester are those of the run that asks, whatever it says."""

from dataclasses import dataclass, field

import pytest
from temporalio.exceptions import ApplicationError

from activities.grants import Grants
from backstay.contracts.standing import GiveInput, UseInput, UseResult
from backstay.errors import ForeignRunError
from backstay.kernel.approval import Refusal
from backstay.kernel.grantable import RuleText
from backstay.kernel.standing import StandingGrant, Use, Wanted

from .world import World

RULE = RuleText("large", "sha256:1")
GRANT = StandingGrant("grt_1", "pay", "mallory", (RULE,), "ann", "another", "apr_1", 0, 9, 2)
USE = Use("grt_1", "ann", 9, (RULE,), 1, 2)
ASKED = UseInput(name="use-1-0-abc", tool="pay", rules=[RULE], exposure={"usd": 5})


@dataclass
class FakeGrants:
    """The grants of one tenant, in memory."""

    refusal: Refusal | None = None
    result: UseResult = field(default_factory=lambda: UseResult(use=USE))
    asked: list[tuple[str, StandingGrant | Wanted]] = field(default_factory=list[tuple[str, StandingGrant | Wanted]])

    async def give(self, tenant: str, grant: StandingGrant) -> Refusal | None:
        self.asked.append((tenant, grant))
        return self.refusal

    async def use(self, tenant: str, wanted: Wanted) -> UseResult:
        self.asked.append((tenant, wanted))
        return self.result


async def test_a_grant_is_given_for_the_runs_own_tenant_and_agent(world: World) -> None:
    grants = FakeGrants()
    result = await world.env.run(Grants(world.conversations, grants).give, GiveInput(grant=GRANT))
    [(tenant, grant)] = grants.asked
    assert isinstance(grant, StandingGrant)
    assert (tenant, grant.agent, grant.run_id, result.refusal) == ("acme", "clerk", "refund-A17", None)
    assert grant.queue == "agents"


async def test_the_reason_why_a_grant_does_not_stand_is_told(world: World) -> None:
    refusal = Refusal("TooManyGrants", "revoke some")
    result = await world.env.run(Grants(world.conversations, FakeGrants(refusal)).give, GiveInput(grant=GRANT))
    assert result.refusal == refusal


async def test_a_use_is_drawn_under_a_name_of_the_run(world: World) -> None:
    grants = FakeGrants()
    assert (await world.env.run(Grants(world.conversations, grants).use, ASKED)).use == USE
    [(tenant, wanted)] = grants.asked
    assert isinstance(wanted, Wanted)
    opening = await world.conversations.opening(next(iter(world.history.openings)))
    assert (tenant, wanted.agent, wanted.requester) == ("acme", "clerk", opening.requested_by)
    assert wanted.queue == "agents"
    assert wanted.id == f"{opening.run_key}/use-1-0-abc"


async def test_grants_that_do_not_answer_are_told_and_let_nothing_through(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    grants = FakeGrants(result=UseResult(trouble="the standing grants of tenant acme do not answer"))
    assert (await world.env.run(Grants(world.conversations, grants).use, ASKED)).use is None
    assert "people are asked: the standing grants of tenant acme do not answer" in caplog.text


async def test_a_workflow_that_is_no_run_of_ours_gives_and_uses_nothing(world: World) -> None:
    world.history.fault = ForeignRunError("no run of ours")
    grants = FakeGrants()
    with pytest.raises(ApplicationError, match="no run of ours"):
        await world.env.run(Grants(world.conversations, grants).give, GiveInput(grant=GRANT))
    with pytest.raises(ApplicationError, match="no run of ours"):
        await world.env.run(Grants(world.conversations, grants).use, ASKED)
    assert grants.asked == []
