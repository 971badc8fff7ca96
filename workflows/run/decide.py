"""One decision: hold its worst case, ask the model, settle the bill, read the reply."""

from dataclasses import replace

from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, TimeoutError
from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.decision import DecideFailure, DecideInput, DecideResult, Decision, Observation
from backstay.contracts.status import TranscriptItem
from backstay.kernel.arguments import repeated_arguments
from backstay.kernel.events import Concluding, Decided, DecisionHeld, DecisionKind, ModelLost
from backstay.kernel.keys import decide_id
from backstay.kernel.plan import ATTEMPTS, open_decision, settle_decision
from backstay.kernel.price import Usage
from backstay.kernel.reply import Reading, read_reply

from .. import options
from .live import LiveRun
from .news import News

CONCLUDE = "The runtime says: the budget is nearly spent. Conclude now: answer with what you know."


async def decide(run: LiveRun) -> Decision | None:
    """Asks the model for its next decision; returns None where none came that can be acted upon."""
    held = open_decision(run.state, run.news.size)
    if isinstance(held, Concluding):
        run.apply(held)
        run.news.note(CONCLUDE)
        held = open_decision(run.state, run.news.size)
    run.apply(held)
    if not isinstance(held, DecisionHeld) or run.state.decision != held:
        return None
    result = await _ask(run, held)
    if result is None or result.decision is None:
        return None
    run.last_decision = result.decision.digest(held.step)
    return _read(run, result.decision)


async def _ask(run: LiveRun, held: DecisionHeld) -> DecideResult | None:
    given = DecideInput(
        step=held.step,
        run_key=run.key,
        previous=run.last_decision,
        max_output_tokens=held.max_output_tokens,
        attempts=held.attempts,
        observations=run.news.observations,
        notes=run.news.notes,
    )
    for note in given.notes:
        run.record.say(TranscriptItem(kind="note", text=note))
    news, run.news = run.news, News()
    model = run.admission.model
    summary = f"step {held.step} · decide · {model.name}"
    how: ActivityConfig = {**options.decide_options(model), "activity_id": decide_id(held.step), "summary": summary}
    try:
        result = await run.running.execute(names.DECIDE, given, DecideResult, how)
    except ActivityError as error:
        run.apply(settle_decision(run.state, None, _lost_attempts(error, held.attempts), replied=False))
        if _may_go_on(error, held):
            run.news = replace(news, size=0)  # the next decision, if there is room for one, tells it again
        elif not isinstance(error.cause, CancelledError):
            run.apply(ModelLost(_reason(error)))
        return None
    usage = Usage(**result.usage.model_dump()) if result.usage else None
    replied = result.decision is not None
    settled = settle_decision(run.state, usage, result.lost_attempts, replied, result.price)
    run.apply(replace(settled, model=result.model))
    return result


def _read(run: LiveRun, decision: Decision) -> Decision | None:
    tools = {tool.name for tool in run.admission.tools}
    _weigh_rewritten(run, decision, tools)
    reading = read_reply(decision.text, len(decision.calls), decision.finish, tools)
    calls = [call.model_dump() for call in decision.calls] or None
    run.record.say(TranscriptItem(kind="decision", text=decision.text, calls=calls, status=reading.kind.value))
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
    for call in decision.calls:
        text = f"not executed: {problem}"
        run.observe(Observation(call_id=call.call_id, text=text), call.tool, text, "denied")
    run.news.note(f"The runtime says: {problem}.")


def _weigh_rewritten(run: LiveRun, decision: Decision, tools: set[str]) -> None:
    """Counts text that is rewritten before it is sent again; the bill covers only the original."""
    for call in decision.calls:
        if call.tool not in tools:
            run.news.weigh(call.tool)
        if (repeated := repeated_arguments(call.arguments)) != call.arguments:
            run.news.weigh(repeated)


def _lost_attempts(error: ActivityError, attempts: int) -> int:
    """Returns how many attempts may have been billed: all allowed ones, unless a typed failure says better."""
    if isinstance(error.cause, ApplicationError) and error.cause.details:
        try:
            return DecideFailure.model_validate(error.cause.details[0]).lost_attempts
        except ValueError:
            return attempts
    return attempts


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
