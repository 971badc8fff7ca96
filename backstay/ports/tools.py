"""The ports to the tools of agents and to their secrets."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from backstay.contracts.admission import Admission, AdmitInput, ToolSpec
from backstay.contracts.call import Reconciled
from backstay.contracts.problems import Problem
from backstay.contracts.queue_hold import FleetQueues
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

    @property
    def plain(self) -> bool:
        """True where all arguments are plain JSON values, so that no code of the agent's own reads them."""
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

    def facts(self, values: Mapping[str, Any], wanted: Callable[[str], bool]) -> dict[str, Any]:
        """Computes the wanted ones of the tool's facts about some arguments; a fact function may raise anything."""
        ...

    def exposure(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Computes what a call adds to each meter, as its functions return it; they may raise anything."""
        ...

    async def reconcile(self, call: ToolCall, values: Mapping[str, Any]) -> Reconciled:
        """Asks the tool whether a call with an unknown outcome happened."""
        ...

    async def run(self, call: ToolCall, values: Mapping[str, Any]) -> str:
        """Executes the call; returns what the model reads."""
        ...


class Tools(Protocol):
    """The tools of agents."""

    def serves(self, agent: str) -> bool:
        """Tells whether this worker serves an agent."""
        ...

    def tool(self, agent: str, name: str, version: str = "") -> Tool | None:
        """Returns a tool of an agent; None where there is none.

        Args:
            agent: the agent's name.
            name: the tool's name.
            version: of the agent; where the worker does not keep that one, the tool is as it is deployed now.
        """
        ...


class Catalog(Tools, Protocol):
    """The agents that this worker serves."""

    def admission(self, request: AdmitInput) -> Admission:
        """Returns the admission record of a run.

        Raises:
            InvalidInputError: the agent is unknown, or the budget asks for more than a ceiling.
        """
        ...


class Secrets(Protocol):
    """The secrets of tools."""

    def reader(self, tool: str, declared: Sequence[str]) -> Callable[[str], str]:
        """Returns a reader limited to the declared secrets."""
        ...

    def scrubbed(self, text: str) -> str:
        """Returns the text without the value of any known secret."""
        ...


class Served(Protocol):
    """The calls that this worker's fleet makes, by the queues that they go over."""

    def queues(self) -> FleetQueues:
        """Tells which calls go over which queue."""
        ...
