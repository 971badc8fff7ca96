"""What activities need of the outside world."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from backstay.contracts.admission import Admission, AdmitInput, Opening, ToolSpec
from backstay.contracts.call import Reconciled, ToolResult
from backstay.contracts.conversation import ModelReply, ModelRequest
from backstay.contracts.effect import CallRef, Claim, EffectInput
from backstay.contracts.history import Handed, Recorded, RunRef
from backstay.contracts.policy import GateCall, Ruling
from backstay.contracts.problems import Problem
from backstay.tools import ToolCall


class Tool(Protocol):
    """A tool that can be checked and run."""

    @property
    def spec(self) -> ToolSpec:
        """How the tool is described, and its effect."""
        ...

    @property
    def secrets(self) -> Sequence[str]:
        """Names of the secrets that its calls may read."""
        ...

    def typed(self, arguments: Mapping[str, Any]) -> dict[str, Any] | list[Problem]:
        """The arguments as the tool's own types, or what does not fit."""
        ...

    def held(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as the tool gets them, in JSON, with its defaults; `UNHELD` is one that JSON cannot carry."""
        ...

    def identity(self, values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments in one spelling, the same for all calls that the tool cannot tell apart."""
        ...

    def facts(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What the tool's fact functions say of some arguments."""
        ...

    async def reconcile(self, call: ToolCall, values: Mapping[str, Any]) -> Reconciled:
        """What became of a call whose end nobody saw."""
        ...

    async def run(self, call: ToolCall, values: Mapping[str, Any]) -> str:
        """Executes the call; returns what the model reads."""
        ...


class Catalog(Protocol):
    """The agents this worker serves."""

    def admission(self, request: AdmitInput) -> Admission:
        """What a run is admitted with.

        Raises:
            InvalidInputError: the agent is unknown, or the budget asks for more than a ceiling.
        """
        ...

    def tool(self, agent: str, name: str) -> Tool | None:
        """A tool of an agent, as it is deployed now."""
        ...


class Gate(Protocol):
    """Policy."""

    def version(self, agent: str) -> str:
        """Digest of the rules in force for an agent."""
        ...

    def members(self, agent: str, group: str) -> Sequence[str]:
        """Who is in an approval group, for an agent."""
        ...

    def rule(self, call: GateCall) -> Ruling:
        """Decides one call."""
        ...


class Models(Protocol):
    """Language models."""

    async def reply(self, agent: str, request: ModelRequest, call_id: Callable[[int], str]) -> ModelReply:
        """Asks the agent's model once.

        Raises:
            ModelError: no usable reply came; says whether it may have been billed.
        """
        ...


class History(Protocol):
    """A run's own history, as the engine keeps it."""

    async def opening(self, run: RunRef) -> Opening:
        """Who asked for what, and what was admitted."""
        ...

    async def since(self, run: RunRef, step: int) -> Recorded:
        """Everything after the decision of `step` was asked for, that decision included; 0 is all."""
        ...

    async def handed(self, run: RunRef, call_id: str) -> Handed | None:
        """The last time a call was handed to `act`; None where that run has no such call.

        Raises:
            HistoryGoneError: there is no such run.
        """
        ...

    async def was_reset(self, run: RunRef) -> bool:
        """Whether a run goes on from another one that was reset."""
        ...

    async def relatives(self, run: RunRef) -> Sequence[RunRef]:
        """The other runs of the same workflow: those that were reset so that this one goes on from them, and others."""
        ...


class Claiming(Protocol):
    """A claim on its way."""

    async def result(self) -> ToolResult:
        """The effect's one result.

        Raises:
            EffectUnreachedError: it could not be asked; the effect may be performed all the same.
        """
        ...

    async def withdraw(self) -> ToolResult:
        """Asks no more; returns as soon as the effect goes on without this call, or has ended.

        Raises:
            EffectUnreachedError: it could not be asked.
        """
        ...

    def drop(self) -> None:
        """Waits no more, and tells nobody: another attempt of the call goes on."""
        ...


class Effects(Protocol):
    """Effects that identical calls share."""

    def claim(
        self, effect_id: str, start: EffectInput, claim: Claim, earlier: str | None, told: Callable[[str], None]
    ) -> Claiming:
        """Claims an effect, which the first claim starts.

        `told` gets what a later attempt of the same call is to give as `earlier`, so that it meets the same effect.
        """
        ...

    async def is_over(self, call: CallRef) -> bool:
        """Whether the run of a call has closed."""
        ...


class Secrets(Protocol):
    """The secrets of tools."""

    def reader(self, tool: str, declared: Sequence[str]) -> Callable[[str], str]:
        """What a call of a tool reads the secrets with that the tool declares."""
        ...

    def scrubbed(self, text: str) -> str:
        """The text without the value of any known secret."""
        ...


class Notifier(Protocol):
    """Whoever is told of approvals."""

    async def send(self, agent: str, message: Mapping[str, Any]) -> None:
        """Sends a message to where an agent's approvals are announced; raises where it was not taken."""
        ...
