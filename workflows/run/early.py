"""The verdicts that come with a decision: what policy is told beforehand, and whether its answer still holds.

No change of the runtime has to be known for it: a decision that was recorded without verdicts is judged after it.
"""

from collections.abc import Callable
from typing import cast

from temporalio import workflow

from backstay.contracts.decision import Beforehand, EarlyVerdicts
from backstay.contracts.policy import AuthorizeInput, AuthorizeResult, RunFacts

from .live import LiveRun

LISTENS = "__backstay_early_verdicts"
"""The name under which a replay hears of questions that no activity was asked as they stand."""
FRESH_SECONDS = 10
"""A verdict that is older is asked for again: a run may stand still for days between a decision and its calls."""

Listen = Callable[[AuthorizeInput, AuthorizeResult], None]


def beforehand(run: LiveRun) -> Beforehand | None:
    """Returns what policy is told of a run with its next decision; None where calls are judged only after it.

    What ledgers count is known only once they were asked about the calls.
    """
    counted = any(meter.counted for meter in run.admission.exposure.values())
    if counted or not run.admission.tools:
        return None
    budget = run.state.budget
    return Beforehand(
        spent_usd=budget.spent.usd,
        tool_calls=budget.spent.tool_calls,
        recent=budget.calls_in_windows(run.clock.now_ms()),
        taint=sorted(run.state.taint),
        exposure=dict(budget.exposed()),
        bounds={name: list(bounds) for name, bounds in budget.limits.exposure.items() if bounds},
    )


def early_verdicts(run: LiveRun, asked: AuthorizeInput) -> AuthorizeResult | None:
    """Returns the verdicts that came with the decision, if they answer the very question of now; each only once.

    INVARIANT: a verdict is used only where policy was told what holds now. Meanwhile a person may have changed a limit,
    a call may have left the last 60 seconds, or the bill may have been another one.
    """
    before, judged = run.early or (None, None)
    run.early = None
    if before is None or judged is None or not _answers(before, judged, asked):
        return None
    found = AuthorizeResult(verdicts=judged.verdicts, identities=judged.identities, members=judged.members)
    heard(asked, found)
    return found


def heard(asked: AuthorizeInput, found: AuthorizeResult) -> None:
    """Lets a replay hear a question that no activity was asked as it stands, and the answer to it."""
    functions = cast("dict[str, Listen]", workflow.extern_functions())  # pyright: ignore[reportUnknownMemberType]
    if listen := functions.get(LISTENS):
        listen(asked, found)


def _answers(before: Beforehand, judged: EarlyVerdicts, asked: AuthorizeInput) -> bool:
    facts = RunFacts.after(before, asked.facts.step, judged.spent_usd, asked.calls)
    return (
        facts == asked.facts
        and before.bounds == asked.bounds
        and abs(asked.now - judged.now) <= FRESH_SECONDS
        and len(judged.verdicts) == len(asked.calls)
        and not (asked.counted or asked.consents or asked.origins)
    )
