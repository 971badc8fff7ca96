"""Measures what the conversation of one long run costs a worker: `python -m benchmarks.conversation`.

Only what a worker does with the words is measured, without the engine and without a model server: the conversation of a
decision, the bytes of its request, and remembering what came of both. A cold rebuild reads a history in memory.
"""

import argparse
import asyncio
import time
from dataclasses import dataclass, field

from activities.conversation import Conversations
from backstay.adapters.model.dialect import Dialect
from backstay.adapters.model.openai_body import encoded
from backstay.contracts.admission import Admission, ModelSpec, Opening, ToolSpec
from backstay.contracts.call import ToolResult
from backstay.contracts.conversation import ModelRequest
from backstay.contracts.decision import DecideInput, Decision, Observation, ProposedCall
from backstay.contracts.history import Handed, Recorded, RunRef
from backstay.contracts.recall import Recollection
from backstay.kernel.budget import Limits
from backstay.kernel.keys import short_digest
from backstay.kernel.stop import Thresholds

RUN = RunRef("long", "run")
AROUND = 25
"""The steps before and after one over which its cost is averaged."""


@dataclass
class _Kept:
    """A history in memory."""

    opened: Opening
    inputs: dict[int, DecideInput] = field(default_factory=dict[int, DecideInput])
    decisions: dict[int, Decision] = field(default_factory=dict[int, Decision])
    results: dict[str, ToolResult] = field(default_factory=dict[str, ToolResult])

    async def opening(self, run: RunRef) -> Opening:
        return self.opened

    async def since(self, run: RunRef, step: int) -> Recorded:
        return Recorded(self.inputs, self.decisions, self.results)

    async def recalled(self, run: RunRef) -> Recollection:
        return Recollection(())

    async def handed(self, run: RunRef, call_id: str) -> Handed | None:
        return None

    async def effect_was_reset(self, effect: RunRef) -> bool:
        return False

    async def cut_short(self, effect: RunRef) -> ToolResult | None:
        return None

    async def relatives(self, run: RunRef) -> list[RunRef]:
        return []


def _opening() -> Opening:
    """Returns the start of a run with one tool."""
    tool = ToolSpec(
        name="lookup",
        description="Looks up an order.",
        parameters={"type": "object", "properties": {"id": {"type": "string"}}},
        digest="d",
        effect="read",
        timeout=10,
    )
    admission = Admission(
        agent="a",
        agent_version="v",
        instructions="You look up orders.",
        model=ModelSpec(name="gpt-5-mini", api="responses", max_output_tokens=500, give_up_after=60, price=None),
        tools=[tool],
        limits=Limits(),
        thresholds=Thresholds(),
        policy_version="p",
    )
    return Opening(
        run_id="long",
        run_key="k",
        goal="Look up all orders.",
        agent="a",
        tenant="t",
        requested_by=None,
        admission=admission,
    )


async def measure(steps: int, result_bytes: int) -> tuple[list[float], float]:
    """Takes a run through its steps.

    Args:
        steps: how many steps.
        result_bytes: the size of each result.

    Returns:
        The seconds of processor time of each step, and those of a rebuild after the last.
    """
    opening = _opening()
    history, spent = _Kept(opening), list[float]()
    memory = Conversations(history, 1_000_000_000)
    text, previous = "x" * result_bytes, None
    for step in range(1, steps + 1):
        seen = [Observation(call_id=f"{step - 1}-0", digest=short_digest(text))] if step > 1 else []
        given = DecideInput(
            step=step, run_key="k", previous=previous, max_output_tokens=500, attempts=3, observations=seen
        )
        call = ProposedCall(
            call_id=f"{step}-0", tool="lookup", arguments=f'{{"id": "A{step}"}}', wire_id=f"call_{step}"
        )
        decision = Decision(text=f"I look up A{step}.", calls=[call])
        began = time.process_time()
        await _asks(memory, given, opening, decision)
        memory.acted(RUN, call.call_id, text)
        spent.append(time.process_time() - began)
        previous = decision.digest(step)
        history.inputs[step], history.decisions[step] = given, decision
        history.results[call.call_id] = ToolResult(status="completed", text=text)
    began = time.process_time()
    await _asks(Conversations(history, 1_000_000_000), history.inputs[steps], opening, history.decisions[steps])
    return spent, time.process_time() - began


async def _asks(memory: Conversations, given: DecideInput, opening: Opening, decision: Decision) -> None:
    """Does what `decide` does with the words of a run."""
    asked = await memory.conversation(RUN, given)
    request = ModelRequest(
        model=opening.admission.model,
        instructions=opening.admission.instructions,
        tools=tuple(opening.admission.tools),
        conversation=asked.items,
        max_output_tokens=given.max_output_tokens,
        idempotency_key="k",
        settled=asked.settled,
        written=asked.written,
    )
    encoded(request, Dialect())
    memory.decided(RUN, given, asked, decision)


async def main() -> None:
    """Prints the cost of a step early and late, and of a rebuild."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conversation", description=__doc__)
    parser.add_argument("--steps", type=int, default=3_000, help="how many steps (default: 3000)")
    parser.add_argument("--bytes", type=int, default=200, help="the size of a result (default: 200)")
    given = parser.parse_args()
    spent, rebuilt = await measure(given.steps, given.bytes)
    for step in (50, *range(given.steps // 3, given.steps + 1, given.steps // 3)):
        around = spent[max(0, step - AROUND) : step + AROUND]
        print(f"step {step:>6}: {sum(around) / len(around) * 1_000:.2f} ms")
    print(f"rebuild of {given.steps} steps: {rebuilt * 1_000:.0f} ms")


if __name__ == "__main__":
    asyncio.run(main())
