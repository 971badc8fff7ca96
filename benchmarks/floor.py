"""The floor: what the engine and the model's client cost with nothing between them. Two activities a step."""

from datetime import timedelta

from temporalio import workflow

FLOOR = "Floor"
DECIDE = "floor-decide"
ACT = "floor-act"
LIMIT = timedelta(seconds=60)


@workflow.defn(name=FLOOR)
class Floor:
    """Asks and acts, as often as it is told; texts of a constant length go in and out."""

    @workflow.run
    async def run(self, steps: int) -> str:
        """The last answer."""
        for _ in range(steps):
            decision = await workflow.execute_activity(DECIDE, result_type=str, start_to_close_timeout=LIMIT)
            await workflow.execute_activity(ACT, decision, result_type=str, start_to_close_timeout=LIMIT)
        return await workflow.execute_activity(DECIDE, result_type=str, start_to_close_timeout=LIMIT)
