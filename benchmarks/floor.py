"""Defines the floor: a bare workflow of two activities a step, the least that Temporal and the model's client cost."""

from datetime import timedelta

from temporalio import workflow

FLOOR = "Floor"
DECIDE = "floor-decide"
ACT = "floor-act"
LIMIT = timedelta(seconds=600)


@workflow.defn(name=FLOOR)
class Floor:
    """A workflow that asks the model and acts, with texts of constant length and no checks."""

    @workflow.run
    async def run(self, goal: str, steps: int) -> str:
        """Runs the given number of steps, and returns the last answer."""
        for _ in range(steps):
            call = await workflow.execute_activity(DECIDE, goal, result_type=str, start_to_close_timeout=LIMIT)
            await workflow.execute_activity(ACT, call, result_type=str, start_to_close_timeout=LIMIT)
        await workflow.execute_activity(DECIDE, goal, result_type=str, start_to_close_timeout=LIMIT)
        return "The cards are filed."
