"""The verdicts over calls come with the decision: one event fewer in a step, and whoever reads them finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.api.history.v1 import HistoryEvent

from backstay.checks.past_runs import PastRun, links_of, past_runs
from backstay.client.verdicts import judged_calls
from backstay.contracts import names
from backstay.kernel.verdict import Outcome
from backstay.testing import Call, Reply

if TYPE_CHECKING:
    from temporalio.client import Client

    from tests.workflow.conftest import Opener, Workshop

STEPS = 6
SCRIPT = [*(Reply(calls=[Call("count_to", {"n": n})]) for n in range(STEPS)), Reply("done")]
TOOLS = '''
@tool(effect="read")
def count_to(n: int) -> str:
    """Counts."""
    return f"counted to {n}"
'''


def asked_anew(events: list[HistoryEvent]) -> int:
    """How often a run asked for verdicts by an activity of their own."""
    asked = [event.activity_task_scheduled_event_attributes.activity_type.name for event in events]
    return asked.count(names.AUTHORIZE)


async def judged(shop: Workshop, client: Client, run_id: str) -> tuple[list[Outcome], list[Outcome]]:
    """The outcomes that a run's history tells, and those that its replay tells."""
    told = [one.verdict.outcome for one in await judged_calls(client, run_id)]
    [past] = [one async for one in past_runs(client, await links_of(client, run_id))]
    assert isinstance(past, PastRun)
    return told, [verdict.outcome for question in past.questions for verdict in question.verdicts]


async def test_a_decision_brings_its_verdicts_and_whoever_reads_the_history_finds_them(
    workshop: Opener, client: Client
) -> None:
    async with workshop(SCRIPT, tools=TOOLS) as shop:
        first = await shop.start()
        await shop.result(first)
        assert asked_anew(await shop.events(first)) >= 1  # from it a worker learns that the rules are quick
        handle = await shop.start()
        assert (await shop.result(handle)).answer == "done"
        assert asked_anew(await shop.events(handle)) <= 2
        assert await judged(shop, client, handle.id) == ([Outcome.ALLOW] * STEPS, [Outcome.ALLOW] * STEPS)
        before_each_call = [one["event"] for one in (await handle.query("audit"))["items"]]
        assert before_each_call.count("call_judged") == before_each_call.count("call_held") == STEPS
        assert before_each_call.index("call_judged") < before_each_call.index("call_held")
