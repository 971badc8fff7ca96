"""Makes the tool `delegate` of agents that list `std:delegate`, and checks whom they may ask."""

import tomllib
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from backstay.contracts.delegate import DelegateSpec, ParentRun
from backstay.contracts.problems import Contract
from backstay.contracts.run import Name
from backstay.errors import ConfigurationError
from backstay.kernel.nearest import did_you_mean

from ..tool.function import Tool, tool_of
from ..tool.loop import ToolLoop
from .toml_file import line_of

LISTED = "std:delegate"


class DelegateTable(Contract):
    """The table `[delegate]`: the agents that `std:delegate` may ask, and how many of their runs there may be.

    Attributes:
        agents: the agents, by the names of their folders.
        depth: how many levels of child runs there may be below a run; 1 lets no child delegate.
        at_once: how many children of one run work side by side; further ones wait.
        hand_over: the answer of a child that was asked alone is the run's own answer.
    """

    agents: Annotated[list[Name], Field(min_length=1, max_length=50)]
    depth: Annotated[int, Field(ge=1, le=5, strict=True)] = 2
    at_once: Annotated[int, Field(ge=1, le=100, strict=True)] = 10
    hand_over: bool = False

    def spec(self, parent: ParentRun | None) -> DelegateSpec | None:
        """Returns how a run may delegate; None where the runs above leave no level for it."""
        depth = self.depth if parent is None else min(self.depth, parent.depth)
        if depth < 1:
            return None
        return DelegateSpec(agents=self.agents, depth=depth, at_once=self.at_once, hand_over=self.hand_over)


def delegate_tool(folder: Path, table: DelegateTable | None, loop: ToolLoop) -> Tool:
    """Makes the tool of an agent.

    Raises:
        ConfigurationError: the agent has no table `[delegate]`.
    """
    if table is None:
        where = _where(folder, "tools")
        mend = 'write below the other keys: [delegate], and in it agents = ["research"]'
        raise ConfigurationError(f"`{LISTED}` has no table `[delegate]`", where=where, mend=mend)
    from backstay.tools.ready.delegate import delegate

    agents = {name: _description(folder.parent / name / "agent.toml") for name in table.agents}
    made = tool_of("delegate", delegate(agents), loop)
    return replace(made, spec=made.spec.model_copy(update={"delegates": True}))


def check_delegates(folder: Path, table: DelegateTable | None, served: Collection[str]) -> None:
    """Checks that the agents that an agent may ask are served with it: a child runs on its parent's queue.

    Raises:
        ConfigurationError: one is not; names file and line.
    """
    for name in table.agents if table else ():
        if name not in served:
            meant = did_you_mean(name, served)
            known = ", ".join(f"`{one}`" for one in sorted(served))
            mend = f"{f'{meant} ' if meant else ''}served here are {known}"
            what = f"`{name}` of `[delegate] agents` is no agent that is served here"
            raise ConfigurationError(what, where=_where(folder, "delegate.agents"), mend=mend)


def _description(file: Path) -> str:
    """Returns the line that says what an agent is for; empty where its file does not say."""
    try:
        said = tomllib.loads(file.read_text("utf-8")).get("description")
    except (OSError, ValueError):
        return ""  # whoever loads that agent says what is wrong
    return said if isinstance(said, str) else ""


def _where(folder: Path, key: str) -> str:
    file = folder / "agent.toml"
    line = line_of(file.read_text("utf-8"), key)
    return f"{file}:{line}" if line else str(file)
