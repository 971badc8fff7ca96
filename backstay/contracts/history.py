"""The parts of a run's own history that activities read back."""

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
    """The last execution of a call by `act`: its input, whether it is over, and its recorded result."""

    given: ActInput
    over: bool
    result: ToolResult | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """Inputs and results of a run's activities after some step, by step and by call."""

    inputs: Mapping[int, DecideInput] = field(default_factory=dict[int, DecideInput])
    decisions: Mapping[int, Decision] = field(default_factory=dict[int, Decision])
    results: Mapping[str, ToolResult] = field(default_factory=dict[str, ToolResult])
