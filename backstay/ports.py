"""The ports: what activities need from the outside world, one Protocol each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from backstay.contracts.admission import Admission, AdmitInput, Opening, ToolSpec
from backstay.contracts.call import Reconciled, ToolResult
from backstay.contracts.conversation import ModelReply, ModelRequest
from backstay.contracts.effect import CallRef, Claim, EffectInput
from backstay.contracts.history import Handed, Recorded, RunRef
from backstay.contracts.policy import PolicyCall
from backstay.contracts.problems import Problem
from backstay.kernel.verdict import Verdict
from backstay.tools import ToolCall


class Tool(Protocol):
    """A tool that can be checked and run."""

    @property
    def spec(self) -> ToolSpec:
        """The tool as the model, the runtime and rules see it."""
        ...

    @property
    def secrets(self) -> Sequence[str]:
        """Names of the secrets that its calls may read."""
        ...

    def typed(self, arguments: Mapping[str, Any]) -> dict[str, Any] | list[Problem]:
        """Converts arguments to the tool's own types, or lists what does not fit."""
        ...

    def held(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Writes the arguments in JSON as the tool gets them, defaults included; `UNHELD` where JSON cannot."""
        ...

    def identity(self, values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Writes the arguments in one spelling, the same for all calls that the tool cannot tell apart."""
        ...

    def facts(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Computes the tool's facts about some arguments; a fact function may raise anything."""
        ...

    async def reconcile(self, call: ToolCall, values: Mapping[str, Any]) -> Reconciled:
        """Asks the tool whether a call with an unknown outcome happened."""
        ...

    async def run(self, call: ToolCall, values: Mapping[str, Any]) -> str:
        """Executes the call; returns what the model reads."""
        ...


class Tools(Protocol):
    """The tools of agents."""

    def tool(self, agent: str, name: str) -> Tool | None:
        """Returns a tool of an agent as it is deployed now; None where there is none."""
        ...


class Catalog(Tools, Protocol):
    """The agents that this worker serves."""

    def admission(self, request: AdmitInput) -> Admission:
        """Returns the admission record of a run.

        Raises:
            InvalidInputError: the agent is unknown, or the budget asks for more than a ceiling.
        """
        ...


class Gate(Protocol):
    """Policy."""

    def version(self, agent: str) -> str:
        """Returns the digest of the rules in force for an agent; empty where there are none."""
        ...

    def members(self, agent: str, group: str) -> Sequence[str]:
        """Returns the people who are in an approval group of an agent now."""
        ...

    def judge(self, call: PolicyCall) -> Verdict:
        """Judges one call; the verdict repeats its digest and lists rules in sorted order."""
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
    """The histories of runs, as the engine keeps them."""

    async def opening(self, run: RunRef) -> Opening:
        """Reads who asked for what, and what was admitted."""
        ...

    async def since(self, run: RunRef, step: int) -> Recorded:
        """Reads everything from the decision of `step` on, that decision included; 0 reads all."""
        ...

    async def handed(self, run: RunRef, call_id: str) -> Handed | None:
        """Reads the last time a call was handed to `act`; None where that run has no such call.

        Raises:
            HistoryGoneError: there is no such run.
        """
        ...

    async def was_reset(self, run: RunRef) -> bool:
        """Tells whether a run continues another one that was reset."""
        ...

    async def relatives(self, run: RunRef) -> Sequence[RunRef]:
        """Lists the other runs of the same workflow, those included that a reset made this one continue."""
        ...


class Claiming(Protocol):
    """A claim that waits for its effect."""

    async def result(self) -> ToolResult:
        """Waits for the effect's one result.

        Raises:
            EffectUnreachedError: it could not be asked; the effect may still be performed.
        """
        ...

    async def withdraw(self) -> ToolResult:
        """Withdraws the claim; returns once the effect continues without this call, or has ended.

        Raises:
            EffectUnreachedError: the effect could not be asked.
        """
        ...

    def drop(self) -> None:
        """Stops waiting and tells nobody, because another attempt at the call continues."""
        ...


class Effects(Protocol):
    """Effects that identical calls share."""

    def claim(
        self, effect_id: str, start: EffectInput, claim: Claim, earlier: str | None, told: Callable[[str], None]
    ) -> Claiming:
        """Claims an effect; the first claim starts it.

        Args:
            effect_id: names the effect; identical calls give the same.
            start: the effect's input, where this claim is the first.
            claim: the call that claims it.
            earlier: what `told` got in an earlier attempt at the same call, so that this one meets the same effect;
                empty where that attempt told nothing, None in the first attempt.
            told: gets what a later attempt must give as `earlier`.
        """
        ...

    async def is_over(self, call: CallRef) -> bool:
        """Tells whether the run that made a call has closed."""
        ...


class Secrets(Protocol):
    """The secrets of tools."""

    def reader(self, tool: str, declared: Sequence[str]) -> Callable[[str], str]:
        """Returns a reader limited to the declared secrets."""
        ...

    def scrubbed(self, text: str) -> str:
        """Returns the text without the value of any known secret."""
        ...


class Notifier(Protocol):
    """The channel that announces approvals to people."""

    async def send(self, agent: str, message: Mapping[str, Any]) -> None:
        """Sends a message to the place where an agent's approvals are announced; raises where it was not taken."""
        ...
