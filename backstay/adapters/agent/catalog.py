"""Serves the agents of a worker and connects each to its model."""

import os
import time
from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from backstay.contracts.admission import (
    Admission,
    AdmitInput,
    ApprovalSpec,
    ArchiveSpec,
    ContextSpec,
    ConversationSpec,
    LinkSpec,
    ModelSpec,
    OtherModel,
    ToolSpec,
)
from backstay.contracts.budget import lowest, narrowed
from backstay.contracts.conversation import ModelReply, ModelRequest
from backstay.contracts.delegate import DelegateSpec, ParentRun, agents_above
from backstay.contracts.names import model_queue
from backstay.contracts.problems import Problem
from backstay.errors import ConfigurationError, InvalidInputError, ModelError, UnservedError
from backstay.kernel.approval import Quorum, quorum_of
from backstay.kernel.budget import Limits
from backstay.kernel.mcp_words import cleaned
from backstay.kernel.nearest import did_you_mean
from backstay.kernel.price import Price
from backstay.settings import Settings
from backstay.tools.declare import seconds

from ..model.openai import OpenAIModel
from ..model.prices import price_of, price_of_reply, window_of
from ..tool.placed import PlacedTool
from .config import ModelTable, OtherModelTable
from .delegating import check_delegates
from .exposure import check_exposure, exposure_of
from .folder import Agent
from .organisation import Organisation
from .rungs import check_rungs
from .times import check_times
from .toml_file import line_of, place_of

OPENAI_HOST = "api.openai.com"
AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
MOST_TOOLS = 128
LONGEST_DESCRIPTION = 1024


class Catalog:
    """The agents by name, as their folders were when the worker started."""

    def __init__(self, agents: Mapping[str, Agent], settings: Settings, org: Organisation) -> None:
        """Checks every agent's model key, budget and approval group.

        Raises:
            ConfigurationError: a key is missing, a budget exceeds the organisation's, or a group has no members.
        """
        self.agents = agents
        self._earlier: dict[tuple[str, str], Agent] = {}
        self._org = org
        self._settings = settings
        self._models: dict[tuple[str | None, str | None], OpenAIModel] = {}
        self._others: dict[tuple[str, str | None, int], Price | None] = {}
        for agent in agents.values():
            self._check(agent)
            check_delegates(agent.folder, agent.config.delegate, agents)

    def put(self, agent: Agent) -> None:
        """Serves an agent as it is now; open runs keep the version that they were admitted with.

        Raises:
            ConfigurationError: the agent cannot be used; what was served stays.
        """
        self._check(agent)
        check_delegates(agent.folder, agent.config.delegate, {*self.agents, agent.name})
        before = self.agents.get(agent.name)
        self.agents = {**self.agents, agent.name: agent}
        if before is not None:
            self._earlier[before.name, before.version] = before
        self._earlier.pop((agent.name, agent.version), None)

    def kept(self) -> list[tuple[Agent, str]]:
        """Lists the agents that are served, each with an empty version, and the earlier ones kept for open runs."""
        earlier = [(agent, version) for (_, version), agent in self._earlier.items()]
        return [*((agent, "") for agent in self.agents.values()), *earlier]

    def _check(self, agent: Agent) -> None:
        self._model(agent)
        check_rungs(self.model_spec(agent), agent.folder / "agent.toml", limited=self._ceilings(agent).usd is not None)
        self._check_account(agent)
        self._approval(agent)
        check_exposure(agent, self._org)
        self._fits_server(agent)

    def admission(self, request: AdmitInput) -> Admission:
        """Returns everything a run of the agent is admitted with.

        Returns:
            The admission, with an empty `policy_version` that the caller fills in.

        Raises:
            InvalidInputError: the agent is unknown, or the budget asks for more than a ceiling.
        """
        agent = self._requested(request)
        exposure = exposure_of(agent, self._org, request.tenant)
        bounds = {name: meter.bounds() for name, meter in exposure.items()}
        limits = handed_down(replace(self._limits(agent, request), exposure=bounds), request.parent, agent.tools)
        delegate = agent.config.delegate.spec(request.parent) if agent.config.delegate else None
        specs = [self._shown(agent, tool.spec) for tool in agent.tools.values()]
        tools = [spec for spec in specs if _may_call(spec, request.parent, delegate)]
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
            tools=tools,
            withheld=[name for name in agent.tools if name not in {tool.name for tool in tools}],
            delegate=delegate,
            limits=limits,
            on_exhausted=agent.config.budget.on_exhausted,
            ceilings=handed_down(self._ceilings(agent), request.parent, agent.tools),
            thresholds=agent.config.thresholds(calls_tools=bool(tools)),
            policy_version="",
            search_attributes=self._settings.search_attributes,
            seconds_exclude_approvals=agent.config.budget.seconds_exclude_approvals,
            approval=self._approval(agent),
            conversation=self._conversation(agent),
            # What a child spends is part of what its parent has drawn: only the limit of its own agent is left.
            draws=self._org.limits.draws(request.tenant, agent.name, agents_above(request.parent)),
            exposure=exposure,
            links=LinkSpec(events=self._settings.link_events, midway=True),
            archive=ArchiveSpec(every=self._settings.archive_every) if self._settings.archive else None,
        )

    def serves(self, agent: str) -> bool:
        """Tells whether the agent is served here."""
        return agent in self.agents

    def tool(self, agent: str, name: str, version: str = "") -> PlacedTool | None:
        """Returns a tool of a version of an agent that is kept, else as deployed now; None where it has none."""
        served = self._earlier.get((agent, version)) or self.agents.get(agent)
        return served.tools.get(name) if served else None

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
            near_limit=self._other(model, model.near_limit) if model.near_limit else None,
            fallback=[self._other(model, other) for other in model.fallback],
            account=model.account,
            window=self._window(model, name, model.context_window),
            context=ContextSpec(
                compact_at=agent.config.context.compact_at,
                model=self._other(model, agent.config.context.model) if agent.config.context.model else None,
            ),
        )

    def _other(self, model: ModelTable, other: OtherModelTable) -> OtherModel:
        """Returns another model of an agent, with its own price; the environment's is that of the first."""
        own = other.price.given() if other.price else None
        return OtherModel(
            name=other.name,
            price=price_of(other.name, model.base_url or self._settings.openai_base_url, own),
            window=self._window(model, other.name, other.context_window),
        )

    def _window(self, model: ModelTable, name: str, own: int | None) -> int | None:
        """Returns how many tokens a model takes: as agent.toml says, else as the price list does."""
        return own or window_of(name, model.base_url or self._settings.openai_base_url)

    async def reply(self, agent: str, request: ModelRequest, call_id: Callable[[int], str]) -> ModelReply:
        """Asks the agent's model once.

        Raises:
            ModelError: no usable reply came; its `billed` says whether the provider may charge for it, and its `bill`
                how much, at the dearer price where another model was asked.
            UnservedError: no agent of that name is served here any more, but perhaps by another worker.
        """
        served = self.agents.get(agent)
        if served is None:
            raise UnservedError(agent)
        try:
            reply = await self._model(served).reply(request, call_id, served.config.model.wire())
        except ModelError as error:
            price = self._price_of_another(error.model, request, served)
            if price is not None and error.bill is not None:
                error.bill = error.bill.at(price)
            raise
        return replace(reply, price=self._price_of_another(reply.model, request, served))

    async def close(self) -> None:
        """Closes the connections to models and to MCP servers, and ends the loops of async tools."""
        for agent in (*self.agents.values(), *self._earlier.values()):
            await agent.close()
        for model in self._models.values():
            await model.close()

    def _price_of_another(self, model: str | None, request: ModelRequest, agent: Agent) -> Price | None:
        """Returns the known price of a model that replied instead of the one asked for; looked up once an hour."""
        if model is None or model == request.model.name:
            return None
        base_url = agent.config.model.base_url or self._settings.openai_base_url
        hour = int(time.time() // 3600)
        known = (model, base_url, hour)
        if known not in self._others:
            self._others = {key: price for key, price in self._others.items() if key[2] == hour}
            self._others[known] = price_of_reply(model, base_url)
        return self._others[known]

    def _requested(self, request: AdmitInput) -> Agent:
        agent = self.agents.get(request.agent)
        if agent is None:
            served = ", ".join(f"`{name}`" for name in sorted(self.agents))
            meant = did_you_mean(request.agent, self.agents)
            problem = f"no agent of that name is served here; {f'{meant} ' if meant else ''}served are {served}"
            raise InvalidInputError([Problem(field="agent", problem=problem)])
        if agent.config.approval.requester_required and request.requested_by is None:
            raise InvalidInputError([Problem(field="requested_by", problem="required by this agent")])
        return agent

    def _limits(self, agent: Agent, request: AdmitInput) -> Limits:
        limits = narrowed(self._ceilings(agent), request.budget)
        if isinstance(limits, list):
            raise InvalidInputError(limits)
        unknown = [name for name in (request.budget.tools if request.budget else {}) if name not in agent.tools]
        if unknown:
            known = ", ".join(f"`{name}`" for name in agent.tools) or "none"
            problems: list[Problem] = []
            for name in unknown:
                meant = did_you_mean(name, agent.tools)
                problem = f"the agent has no such tool; {f'{meant} ' if meant else ''}it has {known}"
                problems.append(Problem(field=f"budget.tools.{name}", problem=problem))
            raise InvalidInputError(problems)
        return limits

    def _approval(self, agent: Agent) -> ApprovalSpec:
        """Returns how the agent asks for approvals.

        Raises:
            ConfigurationError: the group for unknown outcomes, for budgets or for questions has no members.
        """
        table = agent.config.approval
        people = agent.config.std.ask_human
        question = people.group if people and any(tool.spec.asks for tool in agent.tools.values()) else None
        return ApprovalSpec(
            expires_after=seconds(table.expires_after),
            wait_at_most=seconds(table.wait_at_most),
            notify=table.notify is not None,
            unknown=table.unknown,
            unknown_members=self._members(agent, "approval.unknown", table.unknown),
            budget=table.budget,
            budget_members=self._members(agent, "approval.budget", table.budget),
            question=question,
            question_members=self._members(agent, "std.ask_human.group", question),
            answering=self._answering(agent),
        )

    def _answering(self, agent: Agent) -> dict[str, list[str]]:
        """Returns the members of each group that answers questions of a server."""
        asked = {name: table.questions for name, table in agent.config.mcp.items() if table.questions is not None}
        return {group: self._members(agent, f"mcp.{name}.questions", group) for name, group in asked.items()}

    def _conversation(self, agent: Agent) -> ConversationSpec | None:
        """Returns how the agent keeps its runs open; None where they end with their answer.

        Raises:
            ConfigurationError: the group that may speak has no members.
        """
        table = agent.config.conversation
        if table is None:
            return None
        members = self._members(agent, "conversation.speakers", table.speakers)
        return ConversationSpec(keep_open=seconds(table.keep_open), group=table.speakers, members=members)

    def _members(self, agent: Agent, key: str, group: str | None) -> list[str]:
        """Returns the people of the group that a key names; nobody where it names none.

        Raises:
            ConfigurationError: it names no group, or one without members.
        """
        file = agent.folder / "agent.toml"
        if group is None:
            if key == "approval.budget" and agent.config.budget.on_exhausted == "ask":
                where = place_of(file, "budget.on_exhausted")
                mend = 'name it as `budget = "GROUP"` under `[approval]`'
                raise ConfigurationError('`on_exhausted = "ask"` names nobody to ask', where=where, mend=mend)
            return []
        where = place_of(file, key)
        if quorum_of(group) != Quorum(group):
            mend = "use letters, digits and `_ . @ / -`, and leave out a number of people"
            raise ConfigurationError(f"`{key}` names no group: `{group}`", where=where, mend=mend)
        members = {**agent.config.approval.groups, **self._org.groups}.get(group, ())
        if not members:
            raise ConfigurationError(f"the group `{group}` of `{key}` has no members", where=where)
        return list(members)

    def _ceilings(self, agent: Agent) -> Limits:
        """Returns the agent's ceilings, each at most the organisation's.

        Raises:
            ConfigurationError: the agent's file asks for more than the organisation allows, or people would have less
                time to answer than it says.
        """
        own = agent.config.budget
        # Only values written in the file are compared: a default above the organisation's ceiling is just lowered.
        above = narrowed(self._org.ceilings, own.written())
        if isinstance(above, list):
            where = place_of(agent.folder / "agent.toml", above[0].field)
            raise ConfigurationError(f"{above[0]} of the organisation", where=where)
        ceilings = lowest(own.limits(), self._org.ceilings)
        check_times(agent.config, agent.folder / "agent.toml", ceilings.seconds)
        return ceilings

    def _check_account(self, agent: Agent) -> None:
        """Checks that agents of one account ask the same server with the same key, over a queue that runs do not use.

        Raises:
            ConfigurationError: the account cannot be used; names the line.
        """
        account, file = agent.config.model.account, agent.folder / "agent.toml"
        if account is None:
            return
        line = line_of(file.read_text("utf-8"), "model.account")
        where = f"{file}:{line}" if line else str(file)
        if model_queue(account) == self._settings.task_queue:
            what = f"the account `{account}` needs the task queue `{self._settings.task_queue}`, where runs are served"
            raise ConfigurationError(what, where=where, mend="name the account otherwise, or set `BACKSTAY_TASK_QUEUE`")
        for other in self.agents.values():
            shares = other.config.model.account == account and other.name != agent.name
            if shares and self._model(other) is not self._model(agent):
                what = f"`{other.name}` has the account `{account}` too, with another server or key"
                mend = "give both the same `base_url` and `api_key_env`, or accounts of their own"
                raise ConfigurationError(what, where=where, mend=mend)

    def _fits_server(self, agent: Agent) -> None:
        """Checks what OpenAI's own servers refuse and others take.

        Raises:
            ConfigurationError: every request of the agent would be refused.
        """
        if not is_openai(agent.config.model.base_url or self._settings.openai_base_url):
            return
        if len(agent.tools) > MOST_TOOLS:
            what = f"{len(agent.tools)} tools are more than the {MOST_TOOLS} that OpenAI takes"
            raise ConfigurationError(what, where=str(agent.folder / "agent.toml"), mend="list fewer in `tools`")
        for tool in agent.tools.values():
            if tool.spec.function is None and len(tool.spec.description) > LONGEST_DESCRIPTION:
                what = f"the docstring of `{tool.spec.name}` is longer than {LONGEST_DESCRIPTION} characters"
                mend = "OpenAI refuses that: shorten it, and say the rest in `instructions`"
                raise ConfigurationError(what, where=tool.where, mend=mend)

    def _shown(self, agent: Agent, spec: ToolSpec) -> ToolSpec:
        """Returns a tool as runs are admitted with it: the words of an MCP server are cut to what OpenAI takes."""
        fits = len(spec.description) <= LONGEST_DESCRIPTION
        if (
            fits
            or spec.function is None
            or not is_openai(agent.config.model.base_url or self._settings.openai_base_url)
        ):
            return spec
        return spec.model_copy(update={"description": cleaned(spec.description, LONGEST_DESCRIPTION)})

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


def handed_down(limits: Limits, parent: ParentRun | None, tools: Container[str]) -> Limits:
    """Returns the tighter of an agent's limits and of those that a run above has carved.

    Args:
        limits: the agent's.
        parent: what the run above hands down; None where there is none.
        tools: the agent's tools; limits of others mean nothing to it.
    """
    if parent is None:
        return limits
    carved = parent.limits
    known = replace(
        carved,
        tools={name: limit for name, limit in carved.tools.items() if name in tools},
        exposure={name: bounds for name, bounds in carved.exposure.items() if name in limits.exposure},
    )
    return lowest(limits, known)


def _may_call(tool: ToolSpec, parent: ParentRun | None, delegate: DelegateSpec | None) -> bool:
    """Tells whether a run has a tool: every run above has it too, and there is a level left to delegate to."""
    return (parent is None or tool.name in parent.tools) and (delegate is not None or not tool.delegates)


def is_openai(base_url: str | None) -> bool:
    """Tells whether an address is that of OpenAI's own models, there or on Azure; None is OpenAI's own."""
    host = urlsplit(base_url).hostname or "" if base_url else OPENAI_HOST
    return host == OPENAI_HOST or host.endswith(AZURE_HOSTS)


def needs_key(base_url: str | None) -> bool:
    """Tells whether the model server at an address demands a key; None is OpenAI's own."""
    return base_url is None or urlsplit(base_url).hostname == OPENAI_HOST
