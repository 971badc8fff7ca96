"""Lists who is measured, and how a run of each is started."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backstay.contracts.names import AGENT_RUN

from . import load

ROOT = Path(__file__).parent.parent
PEERS_PYTHON = Path(__file__).parent / ".venv" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class Contender:
    """Somebody who carries the load.

    Attributes:
        workflow: the type of its workflow; None for the loop without an engine.
        peer: it runs in the environment of benchmarks/peers.lock.
    """

    name: str
    workflow: str | None
    peer: bool = False

    @property
    def python(self) -> str:
        """Returns the interpreter of its worker."""
        return str(PEERS_PYTHON) if self.peer else sys.executable

    def input(self, wanted: load.Load) -> list[Any]:
        """Returns the arguments of its workflow."""
        if self.workflow == AGENT_RUN:
            return [{"goal": wanted.goal, "agent": load.AGENT}]
        return [wanted.goal, wanted.steps] if self.name == "floor" else [wanted.goal]


BACKSTAY = Contender("backstay", AGENT_RUN)
FLOOR = Contender("floor", "Floor")
NAIVE = Contender("naive", "Naive")
OPENAI_AGENTS = Contender("openai-agents", "OpenAIAgents", peer=True)
PYDANTIC_AI = Contender("pydantic-ai", "PydanticAI", peer=True)
PLAIN = Contender("plain", None)
ALL = (BACKSTAY, FLOOR, NAIVE, OPENAI_AGENTS, PYDANTIC_AI, PLAIN)


def present() -> tuple[Contender, ...]:
    """Returns those whose environment is installed."""
    return tuple(one for one in ALL if not one.peer or PEERS_PYTHON.exists())


def named(names: str) -> tuple[Contender, ...]:
    """Returns the contenders of a list with commas, in the order in which they stand here.

    Raises:
        ValueError: a name is unknown, or its environment is not installed.
    """
    wanted = set(names.split(","))
    if unknown := wanted - {one.name for one in ALL}:
        raise ValueError(f"nobody is called {', '.join(sorted(unknown))}")
    if absent := wanted - {one.name for one in present()}:
        raise ValueError(f"{', '.join(sorted(absent))}: `make peers` installs what they need")
    return tuple(one for one in ALL if one.name in wanted)
