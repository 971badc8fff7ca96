"""One decision: hold its worst case, ask the model, settle the bill, read the reply."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, TimeoutError
from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.carried_call import CarriedAsking
from backstay.contracts.decision import DecideInput, DecideResult, Decision, Observation
from backstay.contracts.status import TranscriptItem
from backstay.kernel.approval import ApprovalKind
from backstay.kernel.arguments import is_long, refused_arguments, refused_text, repeated_arguments
from backstay.kernel.events import (
    BudgetShort,
    Concluding,
    Decided,
    DecisionHeld,
    DecisionKind,
    ModelChanged,
    ModelLost,
    WrapsUp,
)
from backstay.kernel.keys import decide_id
from backstay.kernel.markdown import inert
from backstay.kernel.plan import ATTEMPTS, open_decision, open_last_answer, settle_decision
from backstay.kernel.remainder import left_words
from backstay.kernel.reply import Reading, read_reply

from .. import options
from ..outcome import nothing_done
from .appeal import Appeals
from .changes import knows
from .compact import cut, fit, truncate
from .conversation import hear
from .draw import Purse
from .early import beforehand
from .live import LiveRun
from .lost_attempts import lost_in
from .news import SHOWN_WEIGHED, News
from .parked import DecisionStand
from .served import lost, served
from .words import spent_words, summary

CONCLUDE = (
    "The runtime says: the budget is nearly spent, left are {left}. Conclude now: answer with what you know, or make "
    "only the calls that you need for that."
)
WRAP_UP = (
    "The runtime says: the budget is exhausted ({dimension}), and no tool can be called any more. Answer now, for the "
    "last time and in a few sentences: what was done, what you found, and what is still open."
)

UNSERVED = DecisionStand(lambda: True, CarriedAsking(held=True))
"""A decision that waits for a worker that serves it, or for the end of a stop: nothing was asked so far."""
NOT_DEARER = "near the limit no model is asked that may cost more than the present one"


async def decide(run: LiveRun, appeals: Appeals, purse: Purse) -> Decision | None:
    """Asks the model for its next decision; returns None where none came that can be acted upon."""
    left, run.left = run.left, None
    held = run.state.decision if left and left.held else await _held(run, appeals, purse, left.short if left else None)
    if held is None:
        return None
    result = await _ask(run, held, again=left is not None and left.held)
    if result is None or result.decision is None:
        return None
    run.last_decision, run.decided = result.decision.digest(held.step), held.step
    return _read(run, result.decision, result.model)


async def _held(run: LiveRun, appeals: Appeals, purse: Purse, short: BudgetShort | None) -> DecisionHeld | None:
    """Holds the worst case of a decision; returns None where it cannot be made.

    Args:
        run: the run.
        appeals: asks people for more, where the budget is short.
        purse: draws on ledgers.
        short: what is short for the decision, where the link before has asked people for more.
    """
    if short is None:
        hear(run)
        await fit(run, purse)
        # While a summary was asked for, or the run was frozen, it may have come to its end.
        if not await run.running.go_ahead():
            return None
    found = short or await _opened(run, purse)
    asking = CarriedAsking(short=found if isinstance(found, BudgetShort) else None)
    with run.parked.deciding(DecisionStand(lambda: _asks_for_more(run), asking)):
        held = await appeals.room(found, lambda: _opened(run, purse))
    # While people and ledgers were asked the run may have been killed, paused or cancelled, or its time be over.
    if not await run.running.go_ahead():
        return None
    run.apply(held)
    return held if isinstance(held, DecisionHeld) and run.state.decision == held else None


def _asks_for_more(run: LiveRun) -> bool:
    return any(one.kind is ApprovalKind.BUDGET for one in run.record.waiting)


async def _opened(run: LiveRun, purse: Purse) -> DecisionHeld | BudgetShort | Concluding:
    """Opens the next decision and draws for it; tells the agent to conclude, where it is time for that."""
    seconds = run.clock.seconds()
    held = open_decision(run.state, run.news.size, seconds)
    if isinstance(held, Concluding):
        run.apply(held)
        run.news.note(CONCLUDE.format(left=left_words(run.state, seconds)))
        _change_to_cheaper(run)
        held = open_decision(run.state, run.news.size, seconds)
    return await purse.short(held) or held if isinstance(held, DecisionHeld) else held


async def wrap_up(run: LiveRun) -> None:
    """Asks for a last answer without tools, from what was held back for it; the run ends with it."""
    run.news.note(WRAP_UP.format(dimension=run.state.shortfall))
    cut(run)
    held = open_last_answer(run.state, run.news.size)
    if held is None:
        run.news.omit_results()
        held = open_last_answer(run.state, run.news.size)
    if held is None:
        return
    run.apply(WrapsUp(run.state.shortfall or ""))
    run.apply(held)
    result = await _ask(run, held, last=True)
    if result is None or result.decision is None:
        return
    decision = result.decision
    answers = bool(decision.text and decision.text.strip()) and decision.problem is None
    kind = DecisionKind.ANSWER if answers else DecisionKind.MALFORMED
    run.record.say(TranscriptItem(kind="decision", text=decision.text, status=kind.value, model=result.model))
    run.apply(Decided(run.state.step, kind, 0, decision.problem))
    if answers:
        run.answer = decision.text


async def _ask(run: LiveRun, held: DecisionHeld, *, last: bool = False, again: bool = False) -> DecideResult | None:
    given = DecideInput(
        step=held.step,
        run_key=run.key,
        previous=run.last_decision,
        max_output_tokens=held.max_output_tokens,
        attempts=held.attempts,
        observations=run.news.observations,
        notes=run.news.notes,
        heard=run.news.heard,
        last=last,
        model=run.state.models[-1] if run.state.models else None,
        beforehand=None if last else beforehand(run),
        compaction=run.news.compaction,
        shown=run.news.shown,
    )
    for note in given.notes if not again else ():
        run.record.say(TranscriptItem(kind="note", text=note))
    news, run.news = run.news, News()
    run.telling = None if last else news
    model = run.admission.model.named(given.model)
    how: ActivityConfig = {
        **options.decide_options(model),
        "activity_id": decide_id(held.step),
        "summary": summary(
            f"step {held.step}", inert(model.name), spent_words(run.state.budget.spent.usd), *_refused(run)
        ),
    }
    waits = contextlib.nullcontext if last else lambda: run.parked.deciding(UNSERVED)
    try:
        result = await served(run, lambda _: run.running.execute(names.DECIDE, given, DecideResult, how), waits)
    except ActivityError as error:
        run.telling = None
        run.apply(settle_decision(run.state, None, lost_in(error, held.attempts), replied=False))
        if _may_go_on(error, held):
            run.news = news.again()  # the next decision, if there is room for one, tells it again
        elif not last and await _is_shortened(run, news, error):
            pass
        elif not last and _falls_back(run, error):
            run.news = news.again()
        elif not lost(run, error) and not isinstance(error.cause, CancelledError):
            run.apply(ModelLost(_reason(error)))
        return None
    run.telling = None
    usage = result.usage.counted() if result.usage else None
    replied = result.decision is not None
    run.early = (given.beforehand, result.judged) if given.beforehand and result.judged else None
    settled = settle_decision(run.state, usage, result.lost(), replied, result.price)
    run.apply(replace(settled, model=result.model))
    return result


def _change_to_cheaper(run: LiveRun) -> None:
    """Asks a cheaper model from now on, where the agent names one: cheaper also than one that it has fallen back to."""
    cheaper, present = run.admission.model.near_limit, run.state.price
    if cheaper is None or cheaper.name in run.state.models:
        return
    if cheaper.price and present and cheaper.price.exceeds(present) and knows(NOT_DEARER):
        return
    run.apply(ModelChanged(cheaper.name, cheaper.price, "near_limit"))


async def _is_shortened(run: LiveRun, news: News, error: ActivityError) -> bool:
    """Leaves out more of a conversation that the server calls too long; False where it said otherwise, or none is left.

    The results that are new are shown in part where nothing older is left.
    """
    if run.record.over or not isinstance(error.cause, ApplicationError) or error.cause.type != names.TOO_LONG:
        return False
    run.news = news.again()
    return await truncate(run) or run.news.halve()


def _falls_back(run: LiveRun, error: ActivityError) -> bool:
    """Changes to the next model that fits what is left, where the present one is not to be had; False without one."""
    if run.record.over or nothing_done(error) is not None or isinstance(error.cause, CancelledError):
        return False
    for other in run.admission.model.fallback:
        changed = ModelChanged(other.name, other.price, "fallback")
        opened = open_decision(run.state.after(changed), 0, run.clock.seconds())
        if other.name not in run.state.models and not isinstance(opened, BudgetShort):
            run.apply(changed)
            return True
    return False


def _refused(run: LiveRun) -> list[str]:
    """Returns a few words about each call of the last decision that was refused."""
    return [f"{inert(told.tool)} was {told.verdict}" for told in run.told.values() if told.refused]


def _read(run: LiveRun, decision: Decision, model: str | None) -> Decision | None:
    tools = {tool.name for tool in run.admission.tools}
    _weigh_returned(run, decision, tools)
    reading = read_reply(decision.text, len(decision.calls), decision.finish, tools, decision.problem)
    calls = [call.model_dump(include={"call_id", "tool", "arguments"}) for call in decision.calls] or None
    status = reading.kind.value
    run.record.say(TranscriptItem(kind="decision", text=decision.text, calls=calls, status=status, model=model))
    run.context.turns.append(run.record.said)
    run.apply(Decided(run.state.step, reading.kind, len(decision.calls), reading.problem))
    match reading.kind:
        case DecisionKind.ANSWER:
            run.answer = decision.text
            return None
        case DecisionKind.CALLS:
            return decision
        case DecisionKind.MALFORMED:
            _refuse(run, decision, reading)
            return None


def _refuse(run: LiveRun, decision: Decision, reading: Reading) -> None:
    """Tells the model why its reply cannot be used; each of its calls gets that as its result."""
    problem = reading.problem or "your reply cannot be used"
    shown = list(_shortened(decision))
    if shown and knows(SHOWN_WEIGHED):
        for text in shown:
            run.news.weigh(text)
    for call in decision.calls:
        text = f"not executed: {problem}"
        run.observe(Observation(call_id=call.call_id, text=text), call.tool, text, "denied")
    run.news.note(f"The runtime says: {problem}.")


def _shortened(decision: Decision) -> Iterator[str]:
    """Yields what the model reads instead of the long words of a reply that cannot be used."""
    if decision.text and (shown := refused_text(decision.text)) != decision.text:
        yield shown
    for call in decision.calls:
        if is_long(call.arguments):
            yield refused_arguments(call.arguments)


def _weigh_returned(run: LiveRun, decision: Decision, tools: set[str]) -> None:
    """Counts what is sent again beside or instead of the original text; the bill covers only that."""
    for text in decision.returned():
        run.news.size += len(text.encode("utf-8", "replace"))
    for call in decision.calls:
        if call.tool not in tools:
            run.news.weigh(call.tool)
        if (repeated := repeated_arguments(call.arguments)) != call.arguments:
            run.news.weigh(repeated)


def _may_go_on(error: ActivityError, held: DecisionHeld) -> bool:
    """Tells whether another decision may fare better, because the model is not known to have failed every attempt.

    Either nobody saw how the attempts ended, as when workers die, or the hold had room for too few of them.
    """
    if not isinstance(error.cause, ApplicationError):
        return False
    unseen = error.cause.type == names.ATTEMPTS_UNSEEN
    return unseen or (error.cause.type == names.ATTEMPTS_LOST and held.attempts < ATTEMPTS)


def _reason(error: ActivityError) -> str:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return cause.message
    return "timed out" if isinstance(cause, TimeoutError) else str(cause)
