"""Adds up what closed runs have used, by tenant, agent, model or tool; reads their results and asks no worker."""

from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from temporalio.client import Client

from backstay.adapters.engine.errors import in_our_words
from backstay.adapters.engine.executions import Execution, listed
from backstay.adapters.engine.history import RunHistory
from backstay.contracts import names
from backstay.contracts.budget import Spent
from backstay.contracts.history import RunRef
from backstay.contracts.run import RunResult
from backstay.errors import CodecError, ForeignRunError, HistoryError, RunNotFoundError
from backstay.kernel.money import parse_usd

from .ending import ending_of
from .run_filter import RunFilter

BY = ("tenant", "agent", "model", "tool")
_LOST = "unknown"
UNKNOWN = ""
"""The name under which runs are counted that left no result, as after they were terminated."""


@dataclass(frozen=True, slots=True)
class Used:
    """Sums up the use of several runs; `usd` is micro-dollars.

    Attributes:
        name: the tenant, agent, model or tool; `UNKNOWN` for runs without a result.
        runs: how many runs.
        model_calls: decisions asked of a model; 0 where tools are counted.
        tool_calls: calls of tools; of a tool, its calls.
    """

    name: str
    runs: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: int = 0

    def __add__(self, other: "Used") -> "Used":
        return replace(
            self,
            runs=self.runs + other.runs,
            model_calls=self.model_calls + other.model_calls,
            tool_calls=self.tool_calls + other.tool_calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            usd=self.usd + other.usd,
        )


async def usage(client: Client, by: str, since: datetime, task_queue: str = names.TASK_QUEUE) -> list[Used]:
    """Adds up the runs that have closed since a moment, the dearest first.

    Args:
        client: the Temporal client.
        by: one of `BY`. A tool has no tokens and no US dollars: those are the model's.
        since: the moment.
        task_queue: where the runs were served.

    Raises:
        UnreachableError: Temporal does not answer.
    """
    found: dict[str, Used] = {}
    with in_our_words(client, ""):
        async for one in _used(client, by, since, task_queue):
            found[one.name] = found.get(one.name, Used(one.name)) + one
    return sorted(found.values(), key=lambda one: (-one.usd, -one.tool_calls, one.name))


async def _used(client: Client, by: str, since: datetime, task_queue: str) -> AsyncGenerator[Used]:
    moment = since.astimezone(UTC).isoformat().replace("+00:00", "Z")
    query = f"{RunFilter().query(task_queue)} AND CloseTime >= '{moment}'"
    async for execution in listed(client, query):
        try:
            result = (await ending_of(client, execution)).result
        except (CodecError, RunNotFoundError):
            result = None
        if result is None:
            yield Used(UNKNOWN, runs=1)
        elif by == "tool":
            for tool, calls in _own_tools(result).items():
                yield Used(tool, runs=1, tool_calls=calls)
        elif by == "model":
            for one in by_model(result, await _name(client, by, execution, result, task_queue)):
                yield one
        else:
            yield _of(result, await _name(client, by, execution, result, task_queue))


async def _name(client: Client, by: str, execution: Execution, result: RunResult, task_queue: str) -> str:
    if by == "tenant":
        return result.tenant
    if by == "agent":
        return result.agent
    try:
        run = RunRef(execution.workflow_id, execution.run_id)
        return (await RunHistory(client, task_queue).opening(run)).admission.model.name
    except (HistoryError, ForeignRunError, CodecError):
        return UNKNOWN


def _of(result: RunResult, name: str) -> Used:
    """Returns what a run has used itself: what its children have used is counted with them."""
    own = _used_of(result.spent, name)
    for child in result.children:
        below = _used_of(child.spent, name)
        # A child without a result is counted by nobody else.
        if child.status != _LOST:
            own = replace(
                own,
                model_calls=own.model_calls - below.model_calls,
                tool_calls=own.tool_calls - below.tool_calls,
                input_tokens=own.input_tokens - below.input_tokens,
                output_tokens=own.output_tokens - below.output_tokens,
                usd=own.usd - below.usd,
            )
    return own


def _used_of(spent: Spent, name: str) -> Used:
    return Used(
        name,
        runs=1,
        model_calls=spent.model_calls,
        tool_calls=spent.tool_calls,
        input_tokens=spent.input_tokens,
        output_tokens=spent.output_tokens,
        usd=parse_usd(spent.usd),
    )


def _own_tools(result: RunResult) -> Counter[str]:
    own = Counter(result.spent.tools)
    for child in result.children:
        own.subtract(child.spent.tools if child.status != _LOST else {})
    return +own


def by_model(result: RunResult, first: str) -> list[Used]:
    """Returns what a run used of each model that it asked; of the first it used what no other has.

    Args:
        result: the run's result.
        first: the model that the run was admitted with.
    """
    whole = _of(result, first)
    others = [
        Used(name, 1, one.model_calls, 0, one.input_tokens, one.output_tokens, parse_usd(one.usd))
        for name, one in result.models.items()
    ]
    rest = replace(
        whole,
        model_calls=whole.model_calls - sum(one.model_calls for one in others),
        input_tokens=whole.input_tokens - sum(one.input_tokens for one in others),
        output_tokens=whole.output_tokens - sum(one.output_tokens for one in others),
        usd=whole.usd - sum(one.usd for one in others),
    )
    return [rest, *others]
