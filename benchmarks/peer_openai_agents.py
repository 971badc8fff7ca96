"""Defines the contender `openai-agents`: the OpenAI Agents SDK on Temporal, as its documentation shows it."""

# What it imports lies in an environment of its own, which a type checker of the project does not see.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from datetime import timedelta

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    import openai
    from agents.models.interface import Model, ModelProvider
    from temporalio.openai_agents import ModelActivityParameters, OpenAIAgentsPlugin
    from temporalio.openai_agents.workflow import activity_as_tool

    from agents import Agent, OpenAIResponsesModel, Runner, set_tracing_disabled

    from .card import file_one
    from .load import INSTRUCTIONS, MODEL

LIMIT = timedelta(seconds=600)
ENDLESS = 1_000_000


@activity.defn
async def file_card(number: int, text: str, size: int) -> str:
    """File a card."""
    return file_one(text, size)


@workflow.defn(name="OpenAIAgents")
class OpenAIAgents:
    """One agent with one tool, which is an activity."""

    @workflow.run
    async def run(self, goal: str) -> str:
        """Runs the agent until it answers."""
        tools = [activity_as_tool(file_card, start_to_close_timeout=LIMIT)]
        agent = Agent(name="clerk", instructions=INSTRUCTIONS, model=MODEL, tools=tools)
        result = await Runner.run(agent, input=goal, max_turns=ENDLESS)
        return str(result.final_output)


class Provider(ModelProvider):
    """Names the scripted model's address, without the client's own retries."""

    def __init__(self, base_url: str) -> None:
        self._client = openai.AsyncOpenAI(api_key="none", base_url=base_url, max_retries=0)

    def get_model(self, model_name: str | None) -> Model:
        """Returns the model over the API of responses."""
        return OpenAIResponsesModel(model=model_name or MODEL, openai_client=self._client)


def plugin(base_url: str) -> OpenAIAgentsPlugin:
    """Returns what makes clients, workers and replayers fit; without traces, which nobody would collect."""
    set_tracing_disabled(True)
    return OpenAIAgentsPlugin(
        model_params=ModelActivityParameters(start_to_close_timeout=LIMIT), model_provider=Provider(base_url)
    )


WORKFLOWS = [OpenAIAgents]
ACTIVITIES = [file_card]
