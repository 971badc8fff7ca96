"""Defines the contender `pydantic-ai`: an agent with its durability on Temporal, as its documentation shows it."""

# What it imports lies in an environment of its own, which a type checker of the project does not see.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

import os
from datetime import timedelta

from temporalio import workflow
from temporalio.workflow import ActivityConfig

with workflow.unsafe.imports_passed_through():
    import openai
    from pydantic_ai import Agent
    from pydantic_ai.durable_exec.temporal import PydanticAIPlugin, PydanticAIWorkflow, TemporalDurability
    from pydantic_ai.models.openai import OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.usage import UsageLimits

    from .card import file_one
    from .load import INSTRUCTIONS, MODEL

LIMIT = timedelta(seconds=600)

# The agent is of the module, as the integration wants it: the address comes from the environment.
_client = openai.AsyncOpenAI(
    api_key="none", base_url=os.environ.get("BENCHMARK_MODEL", "http://127.0.0.1:9/v1"), max_retries=0
)
clerk = Agent(
    OpenAIResponsesModel(MODEL, provider=OpenAIProvider(openai_client=_client)),
    name="clerk",
    instructions=INSTRUCTIONS,
    capabilities=[TemporalDurability(activity_config=ActivityConfig(start_to_close_timeout=LIMIT))],
)


@clerk.tool_plain
async def file_card(number: int, text: str, size: int) -> str:
    """File a card."""
    return file_one(text, size)


@workflow.defn(name="PydanticAI")
class PydanticAI(PydanticAIWorkflow):
    """One agent with one tool."""

    __pydantic_ai_agents__ = (clerk,)

    @workflow.run
    async def run(self, goal: str) -> str:
        """Runs the agent until it answers."""
        result = await clerk.run(goal, usage_limits=UsageLimits(request_limit=None))
        return result.output


def plugin(base_url: str) -> PydanticAIPlugin:
    """Returns what makes clients, workers and replayers fit."""
    return PydanticAIPlugin()


WORKFLOWS = [PydanticAI]
ACTIVITIES: list[object] = []
