"""What a run's own history holds, in the words of those who read it back."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .call import ActInput, ToolResult
from .decision import DecideInput, Decision


@dataclass(frozen=True, slots=True)
class RunRef:
    """One execution of a run, as the engine names it."""

    workflow_id: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Handed:
    """The last time a call was handed to `act`, whether that is over, and the result where one is recorded."""

    given: ActInput
    over: bool
    result: ToolResult | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """Inputs and results of a run's activities after some step, by step and by call."""

    inputs: Mapping[int, DecideInput] = field(default_factory=dict[int, DecideInput])
    decisions: Mapping[int, Decision] = field(default_factory=dict[int, Decision])
    results: Mapping[str, ToolResult] = field(default_factory=dict[str, ToolResult])
