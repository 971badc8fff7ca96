"""Makes `delegate`: another agent does a part of the work, in a run of its own under this run's budget.

Its calls are judged like those of any tool, and then the run starts a child run. No worker executes them.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_UP, Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from backstay.contracts.delegate import ChildBudget
from backstay.errors import ToolError

from ..declare import tool

NAME: Final = "delegate"
UNBOUNDED: Final = Decimal("922337203685477.5807")
"""The US dollars of a call that asks for no certain sum: a rule with a limit has to refuse it, or ask for a sum."""
_LINE: Final = 120
_ALL: Final = 900


def agent_of(agent: str) -> str:
    """Returns the agent that a call asks."""
    return agent


def usd_of(budget: ChildBudget | None = None) -> Decimal:
    """Returns the US dollars that a call asks for, rounded up to four decimals."""
    if budget is None or budget.usd is None:
        return UNBOUNDED
    return Decimal(budget.usd).quantize(Decimal("0.0001"), rounding=ROUND_UP)


def delegate(agents: Mapping[str, str]) -> Callable[..., Any]:
    """Makes the tool.

    Args:
        agents: the agents that may be asked, each with a line that says what it is for.
    """

    async def asked(agent: str, goal: str, budget: ChildBudget | None = None) -> str:
        raise ToolError("no worker executes this: the run itself starts a child run")

    asked.__name__ = asked.__qualname__ = NAME
    asked.__doc__ = _described(agents)
    names: Any = Literal[tuple(agents)]
    asked.__annotations__ = {
        "agent": names,
        "goal": Annotated[str, Field(min_length=1, max_length=32_000)],
        "budget": ChildBudget | None,
        "return": str,
    }
    facts: dict[str, tuple[str, Callable[..., Any]]] = {
        "agent": ("String", agent_of),
        "usd": ("decimal", usd_of),
    }
    return tool(effect="once", facts=facts, texts=["goal"])(asked)


def _described(agents: Mapping[str, str]) -> str:
    lines = [
        "Asks another agent to do a part of the work, and returns its answer.",
        "It sees nothing of this conversation: the goal has to say all that it needs to know.",
        "Its budget is taken from yours, and what it leaves comes back; without a budget it gets an equal share.",
        *_listed(agents),
    ]
    return "\n".join(lines)


def _listed(agents: Mapping[str, str]) -> Sequence[str]:
    found, room = list[str](), _ALL - 330
    for name, description in agents.items():
        said = " ".join(description.split())
        line = f"- {name}: {said[:_LINE]}" if said else f"- {name}"
        room -= len(line) + 1
        if room >= 0:
            found.append(line)
    return found
