"""Defines the naive loop: a workflow that hands the whole conversation to the model's activity in every step."""

from datetime import timedelta
from typing import Any

from temporalio import workflow

NAIVE = "Naive"
DECIDE = "naive-decide"
ACT = "naive-act"
LIMIT = timedelta(seconds=600)


@workflow.defn(name=NAIVE)
class Naive:
    """The loop as most people write it first."""

    @workflow.run
    async def run(self, goal: str) -> str:
        """Asks and acts until the model answers."""
        conversation: list[dict[str, Any]] = [{"role": "user", "content": goal}]
        while True:
            decision: dict[str, Any] = await workflow.execute_activity(
                DECIDE, conversation, result_type=dict, start_to_close_timeout=LIMIT
            )
            if "answer" in decision:
                return str(decision["answer"])
            added: list[dict[str, Any]] = await workflow.execute_activity(
                ACT, decision, result_type=list, start_to_close_timeout=LIMIT
            )
            conversation += added
