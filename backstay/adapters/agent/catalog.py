"""Serves the agents of a worker and connects each to its model."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from backstay.contracts.admission import Admission, AdmitInput, ApprovalSpec, ModelSpec
from backstay.contracts.budget import BudgetLimits, lowest, narrowed
from backstay.contracts.conversation import ModelReply, ModelRequest
from backstay.contracts.problems import Problem
from backstay.errors import ConfigurationError, InvalidInputError, ModelError
from backstay.kernel.approval import Quorum, quorum_of
from backstay.kernel.budget import Limits
from backstay.kernel.price import Price
from backstay.settings import Settings
from backstay.tools.declare import seconds

from ..model.openai import OpenAIModel
from ..model.prices import price_of
from ..tool.function import Tool
from .folder import Agent
from .organisation import Organisation

OPENAI_HOST = "api.openai.com"


class Catalog:
    """The agents by name, as their folders were when the worker started."""

    def __init__(self, agents: Mapping[str, Agent], settings: Settings, org: Organisation) -> None:
        """Checks every agent's model key, budget and approval group.

        Raises:
            ConfigurationError: a key is missing, a budget exceeds the organisation's, or a group has no members.
        """
        self.agents = agents
        self._org = org
        self._settings = settings
        self._models: dict[tuple[str | None, str | None], OpenAIModel] = {}
        self._others: dict[tuple[str, str | None, int], Price | None] = {}
        for agent in agents.values():
            self._model(agent)
            self._ceilings(agent)
            self._approval(agent)

    def admission(self, request: AdmitInput) -> Admission:
        """Returns everything a run of the agent is admitted with.

        Returns:
            The admission, with an empty `policy_version` that the caller fills in.

        Raises:
            InvalidInputError: the agent is unknown, or the budget asks for more than a ceiling.
        """
        agent = self._requested(request)
        limits = self._limits(agent, request)
        model = self.model_spec(agent)
        if model.price is None and limits.usd is not None:
            problem = (
                "its model has no known price, so it cannot run under a `usd` budget; "
                'write `price = { input = "0.25", output = "2.00" }` under `[model]`, or set `BACKSTAY_MODEL_PRICE`'
            )
            raise InvalidInputError([Problem(field="agent", problem=problem)])
        return Admission(
            agent=agent.name,
            agent_version=agent.version,
            instructions=agent.config.instructions,
            model=model,
            tools=[tool.spec for tool in agent.tools.values()],
            limits=limits,
            thresholds=agent.config.stop.thresholds(agent.config.approval.on_expiry == "stop"),
            policy_version="",
            seconds_exclude_approvals=agent.config.budget.seconds_exclude_approvals,
            approval=self._approval(agent),
        )

    def tool(self, agent: str, name: str) -> Tool | None:
        """Returns a tool of an agent as deployed now, or None."""
        return self.agents[agent].tools.get(name) if agent in self.agents else None

    def model_spec(self, agent: Agent) -> ModelSpec:
        """Returns the agent's model: its own settings first, then the price list, then the environment's."""
        model, settings = agent.config.model, self._settings
        own = model.price.given() if model.price else None
        name = model.name or settings.model
        return ModelSpec(
            name=name,
            api="chat" if (model.api or settings.model_api) == "chat" else "responses",
            max_output_tokens=model.max_output_tokens,
            give_up_after=seconds(model.give_up_after),
            price=price_of(name, model.base_url or settings.openai_base_url, own, settings.model_price),
        )

    async def reply(self, agent: str, request: ModelRequest, call_id: Callable[[int], str]) -> ModelReply:
        """Asks the agent's model once.

        Raises:
            ModelError: no usable reply came; its `billed` says whether the provider may charge for it. Of kind
                `unserved` where no agent of that name is served here any more, but perhaps by another worker.
        """
        served = self.agents.get(agent)
        if served is None:
            message = f"this worker does not serve the agent `{agent}`; start one that does"
            raise ModelError("unserved", message, retryable=True, billed=False)
        reply = await self._model(served).reply(request, call_id)
        if reply.model is None or reply.model == request.model.name:
            return reply
        return replace(reply, price=self._price_of_another(reply.model, served))

    async def close(self) -> None:
        """Closes the connections to models."""
        for model in self._models.values():
            await model.close()

    def _price_of_another(self, model: str, agent: Agent) -> Price | None:
        """Returns the known price of a model that replied instead of the one asked for; looked up once an hour."""
        base_url = agent.config.model.base_url or self._settings.openai_base_url
        hour = int(time.time() // 3600)
        known = (model, base_url, hour)
        if known not in self._others:
            self._others = {key: price for key, price in self._others.items() if key[2] == hour}
            self._others[known] = price_of(model, base_url, None)
        return self._others[known]

    def _requested(self, request: AdmitInput) -> Agent:
        agent = self.agents.get(request.agent)
        if agent is None:
            raise InvalidInputError([Problem(field="agent", problem="no agent of that name is served here")])
        if agent.config.approval.requester_required and request.requested_by is None:
            raise InvalidInputError([Problem(field="requested_by", problem="required by this agent")])
        return agent

    def _limits(self, agent: Agent, request: AdmitInput) -> Limits:
        limits = narrowed(self._ceilings(agent), request.budget)
        if isinstance(limits, list):
            raise InvalidInputError(limits)
        unknown = [name for name in (request.budget.tools if request.budget else {}) if name not in agent.tools]
        if unknown:
            raise InvalidInputError(
                [Problem(field=f"budget.tools.{name}", problem="the agent has no such tool") for name in unknown]
            )
        return limits

    def _approval(self, agent: Agent) -> ApprovalSpec:
        """Returns how the agent asks for approvals.

        Raises:
            ConfigurationError: the group that answers for unknown outcomes has no members.
        """
        table = agent.config.approval
        groups = {**table.groups, **self._org.groups}
        members = list(groups.get(table.unknown, ())) if table.unknown else []
        where = str(agent.folder / "agent.toml")
        if table.unknown and quorum_of(table.unknown) != Quorum(table.unknown):
            mend = "use letters, digits and `_ . @ / -`, and leave out a number of people"
            raise ConfigurationError(f"`approval.unknown` names no group: `{table.unknown}`", where=where, mend=mend)
        if table.unknown and not members:
            raise ConfigurationError(f"the group `{table.unknown}` of `approval.unknown` has no members", where=where)
        return ApprovalSpec(
            expires_after=seconds(table.expires_after),
            notify=table.notify is not None,
            unknown=table.unknown,
            unknown_members=members,
        )

    def _ceilings(self, agent: Agent) -> Limits:
        """Returns the agent's ceilings, each at most the organisation's.

        Raises:
            ConfigurationError: the agent's file asks for more than the organisation allows.
        """
        own = agent.config.budget
        # Only values written in the file are compared: a default above the organisation's ceiling is just lowered.
        written = BudgetLimits.model_validate(own.model_dump(exclude_unset=True, exclude={"seconds_exclude_approvals"}))
        above = narrowed(self._org.ceilings, written)
        if isinstance(above, list):
            where = str(agent.folder / "agent.toml")
            raise ConfigurationError(f"{above[0]} of the organisation", where=where)
        return lowest(own.limits(), self._org.ceilings)

    def _model(self, agent: Agent) -> OpenAIModel:
        """Returns the agent's connection, shared by all agents with the same key and address."""
        model = agent.config.model
        base_url = model.base_url or self._settings.openai_base_url
        variable = model.api_key_env or "OPENAI_API_KEY"
        key = os.environ.get(variable) if model.api_key_env else self._settings.openai_api_key
        if not key and (model.api_key_env or needs_key(base_url)):
            raise ConfigurationError(
                f"agent `{agent.name}` has no model key: `{variable}` is not set",
                mend="set it, or `OPENAI_BASE_URL` for a server that needs no key",
            )
        endpoint = (key, base_url)
        if endpoint not in self._models:
            self._models[endpoint] = OpenAIModel(key, base_url)
        return self._models[endpoint]


def needs_key(base_url: str | None) -> bool:
    """Tells whether the model server at an address demands a key; None is OpenAI's own."""
    return base_url is None or urlsplit(base_url).hostname == OPENAI_HOST
