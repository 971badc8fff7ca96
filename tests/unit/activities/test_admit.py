"""`admit`: what a run may do and spend, or every reason why it may not start."""

import pytest
from temporalio.exceptions import ApplicationError

from activities.admit import Admit
from backstay.contracts.admission import Admission, AdmitInput
from backstay.contracts.problems import Problem

from .world import World


async def admitted(world: World, search_attributes: bool = True) -> Admission:
    activity = Admit(world.catalog, world.gate, search_attributes)
    return await world.env.run(activity.admit, AdmitInput(agent="clerk", requested_by="ann"))


@pytest.mark.parametrize("search_attributes", [True, False])
async def test_an_admission_adds_the_rules_in_force_and_the_workers_setting_to_the_catalogs(
    world: World, search_attributes: bool
) -> None:
    admission = await admitted(world, search_attributes)
    assert (admission.agent, admission.tools) == ("clerk", [world.tool.spec])
    assert admission.policy_version == "sha256:rules-of-clerk"
    assert admission.search_attributes is search_attributes


async def test_a_run_that_cannot_be_admitted_fails_for_good_and_lists_every_problem(world: World) -> None:
    world.catalog.problems = [
        Problem(field="agent", problem="there is no such agent"),
        Problem(field="budget.usd", problem="above the ceiling"),
    ]
    with pytest.raises(ApplicationError) as caught:
        await admitted(world)
    assert (caught.value.type, caught.value.non_retryable) == ("InvalidInput", True)
    assert caught.value.message == ("invalid input: `agent`: there is no such agent; `budget.usd`: above the ceiling")
    assert caught.value.details == (
        [
            {"field": "agent", "problem": "there is no such agent"},
            {"field": "budget.usd", "problem": "above the ceiling"},
        ],
    )
