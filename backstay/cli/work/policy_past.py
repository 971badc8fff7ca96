"""`backstay policy explain --run`: the verdicts over past calls of a run, as its history has them."""

from collections.abc import Collection, Sequence
from typing import Any

from backstay.adapters.engine.errors import in_our_words
from backstay.client.verdicts import JudgedCall, judged_calls
from backstay.kernel.arguments import Unreadable
from backstay.kernel.origins import Origins

from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.failure import Failure, say_failure
from ..shell.loop import run_loop
from ..shell.terminal import Output, write, write_json
from ..views.past_verdict import past_verdicts


def explain_past(run_id: str, step: int | None, output: Output) -> int:
    """Explains the calls of a run and returns the exit code.

    Args:
        run_id: the run.
        step: the step whose calls are explained; None for all.
        output: how it is written.
    """
    return run_loop(_explain(run_id, step, output))


async def _explain(run_id: str, step: int | None, output: Output) -> int:
    link = await connected()
    with in_our_words(link.client.temporal, run_id):
        judged = await judged_calls(link.client.temporal, run_id)
    found = [one for one in judged if step is None or one.step == step]
    if not found:
        return no_verdict(step, {one.step for one in judged}, output)
    calls = [_as_json(one) for one in found]
    if output is Output.JSON:
        write_json({"run_id": run_id, "calls": calls})
    else:
        write(past_verdicts(calls))
    return ExitCode.COMPLETED


def no_verdict(step: int | None, known: Collection[int], output: Output) -> int:
    """Says that no call was judged in a step, or in the run, and returns the exit code; `known` are steps with some."""
    what = f"policy judged no call in step {step}" if step is not None else "policy judged no call of the run"
    steps = ", ".join(map(str, sorted(known)))
    do = f"name one of the steps {steps}" if steps else "`backstay transcript` shows the run"
    say_failure(Failure("StepNotFound", what, "the history holds no verdict there", do), as_json=output is Output.JSON)
    return ExitCode.NOT_FOUND


def _as_json(one: JudgedCall) -> dict[str, Any]:
    verdict, parsed = one.verdict, one.call.parsed
    return {
        "step": one.step,
        "call_id": one.call.call_id,
        "tool": one.call.tool,
        "args": None if isinstance(parsed, Unreadable) else parsed,
        "outcome": verdict.outcome.value,
        "code": verdict.code.value,
        "deciding": list(verdict.rules),
        "message": verdict.message,
        "groups": list(verdict.groups),
        "origins": _origins(verdict.origins),
        "policy_version": verdict.policy_version,
        "digest": verdict.digest,
    }


def _origins(origins: Origins | None) -> dict[str, Any] | None:
    """Writes where values came from as plain JSON; None where no rule read it then."""
    if origins is None:
        return None
    return {
        "sources": {name: list(words) for name, words in origins.sources.items()},
        **{
            part: _listed(getattr(origins, part))
            for part in ("targets", "items", "texts", "carries", "parts", "accepted")
        },
        "copied": {name: list(quotes) for name, quotes in origins.copied.items()},
        "within": {name: list(words) for name, words in origins.within.items()},
        "grammar": origins.grammar,
    }


def _listed(words: Sequence[str]) -> list[str]:
    return list(words)
