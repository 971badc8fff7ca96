"""Compacts the conversation before it outgrows the model's window: held, asked, settled, or else truncated.

A compaction is no step: nothing is decided. A run whose model has no known window does nothing of this, unless its
server answers that the conversation is too long.
"""

from dataclasses import dataclass, replace

from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.admission import ContextSpec, ModelSpec
from backstay.contracts.compact import CompactInput, CompactResult
from backstay.contracts.status import TranscriptItem
from backstay.kernel.compact_events import Compacted, CompactionHeld
from backstay.kernel.compacting import Bill, open_compaction, settle_compaction, threshold
from backstay.kernel.events import DecisionHeld
from backstay.kernel.keys import LAST_ANSWER, compact_id, short_digest
from backstay.kernel.markdown import inert

from .. import options
from .draw import Purse
from .live import LiveRun
from .lost_attempts import lost_in
from .served import served
from .words import spent_words, summary

ASK_BYTES = 1_000
"""Bounds the tokens of what a request for a summary says beyond the conversation."""


@dataclass(frozen=True, slots=True)
class _Window:
    """The window of the model that decides, in tokens, and where its conversation is compacted."""

    size: int
    at: int


async def fit(run: LiveRun, purse: Purse) -> None:
    """Compacts older turns where the next decision nears the window, and cuts new results that do not fit it."""
    window = _window(run)
    if window is None:
        return
    told = run.state.context_tokens + run.news.size
    due = told >= max(window.at, run.context.wait_for) and len(run.context.turns) > 1 and not run.news.compaction
    if due and not await _compact(run, purse, window):
        # Not before it has grown by a good part: what cannot be compacted now costs an activity each time.
        run.context.wait_for = told + window.at // 4
    cut(run)


def cut(run: LiveRun) -> None:
    """Cuts results that do not fit the window beside the conversation."""
    if window := _window(run):
        run.news.cut(window.size - run.state.max_output_tokens - run.state.context_tokens)


async def truncate(run: LiveRun) -> bool:
    """Leaves out about half of a conversation that the server calls too long; False where nothing is left to leave out.

    It is the last resort, also where the window is not known: no model is asked.
    """
    return len(run.context.turns) > 1 and await _plainly(run, None)


def _window(run: LiveRun) -> _Window | None:
    model, context = _model(run), run.admission.model.context
    if model.window is None or context is None:
        return None
    return _Window(model.window, threshold(model.window, context.compact_at, run.state.max_output_tokens))


def _model(run: LiveRun) -> ModelSpec:
    return run.admission.model.named(run.state.models[-1] if run.state.models else None)


def _asked(run: LiveRun, context: ContextSpec | None) -> ModelSpec:
    """Returns the model that writes summaries."""
    return run.admission.model.other(context.model) if context and context.model else _model(run)


async def _compact(run: LiveRun, purse: Purse, window: _Window) -> bool:
    """Asks for a summary, and truncates where the budget has no room for one or none came."""
    room = max(1, window.at - run.news.size)
    held = await _held(run, purse)
    if held is not None and not run.record.over:
        result = await _summarised(run, held, room)
        if result is not None and not run.record.over and (result.compaction is not None or not result.replied):
            return _apply(run, result, "summarised")
    return not run.record.over and await _plainly(run, room)


async def _held(run: LiveRun, purse: Purse) -> CompactionHeld | None:
    """Opens a request for a summary and draws for it; None where there is no room for it."""
    run.context.compactions += 1
    model = _asked(run, run.admission.model.context)
    price = model.price if model.name != _model(run).name else run.state.price
    held = open_compaction(run.state, run.context.compactions, price, ASK_BYTES, run.state.max_output_tokens)
    if held is None:
        return None
    drawn = DecisionHeld(run.state.step, held.attempts, held.input_tokens, held.max_output_tokens, held.amount)
    if await purse.short(replace(drawn, last_answer=run.state.budget.holds.get(LAST_ANSWER))):
        return None
    # While ledgers were asked the run may have been killed, paused or cancelled.
    if not await run.running.go_ahead():
        return None
    run.apply(held)
    return held if compact_id(held.number) in run.state.budget.holds else None


async def _summarised(run: LiveRun, held: CompactionHeld, room: int) -> CompactResult | None:
    """Asks for a summary and settles what that cost; None where the model failed."""
    model = _asked(run, run.admission.model.context)
    price = model.price if model.name != _model(run).name else run.state.price
    given = _given(run, room).model_copy(
        update={"attempts": held.attempts, "max_output_tokens": held.max_output_tokens}
    )
    how: ActivityConfig = {
        **options.decide_options(model),
        "activity_id": compact_id(held.number),
        "summary": summary("compact", inert(model.name), spent_words(run.state.budget.spent.usd)),
    }
    bill, result = Bill(False), None
    try:
        result = await served(run, lambda _: run.running.execute(names.COMPACT, given, CompactResult, how))
        usage = result.usage.counted() if result.usage else None
        bill = Bill(result.replied, usage, result.lost(), result.price)
    except ActivityError as error:
        bill = Bill(False, None, lost_in(error, held.attempts))
    settled = settle_compaction(run.state, held, price, bill)
    asked = model.name if model.name != _model(run).name else None
    run.apply(replace(settled, asked=asked, model=result.model if result else None))
    return result


async def _plainly(run: LiveRun, room: int | None) -> bool:
    """Leaves older results out, and the oldest turns where that is not enough; asks no model."""
    run.context.compactions += 1
    given = _given(run, room)
    how: ActivityConfig = {
        **options.COMPACT,
        "activity_id": compact_id(given.number),
        "summary": summary("compact", "without a model"),
    }
    try:
        result = await served(run, lambda _: run.running.execute(names.COMPACT, given, CompactResult, how))
    except ActivityError as error:
        if isinstance(error.cause, ApplicationError | CancelledError) or run.record.over:
            return False
        raise
    return _apply(run, result, "truncated")


def _given(run: LiveRun, room: int | None) -> CompactInput:
    return CompactInput(
        number=run.context.compactions,
        run_key=run.key,
        step=run.decided,
        previous=run.last_decision,
        room=room,
        model=run.state.models[-1] if run.state.models else None,
        pending=run.news.compaction,
    )


def _apply(run: LiveRun, result: CompactResult, how: str) -> bool:
    """Takes down what the model reads from the next decision on; False where that is what it read before."""
    compaction = result.compaction
    if compaction is None:
        return False
    before = run.state.context_tokens
    turns = run.context.turns
    run.apply(
        Compacted(
            number=run.context.compactions,
            how=how,
            first_item=turns[0],
            last_item=turns[compaction.through] - 1,
            replaced=result.replaced,
            summary=short_digest(compaction.summary) if compaction.summary else None,
            tokens_before=before,
            # INVARIANT: both bound what the next request repeats: what is left of it by bytes, and what it was before.
            context_tokens=min(result.size + run.news.counted, before + result.added),
        )
    )
    text = compaction.summary if how == "summarised" else None
    run.record.say(TranscriptItem(kind="compacted", text=text or _left_out(compaction.dropped), status=how))
    run.news.compaction = compaction
    run.context.wait_for = 0
    return True


def _left_out(dropped: int) -> str:
    oldest = f"; the {dropped} oldest turns are not shown at all" if dropped else ""
    return f"older results are not shown to the model any more{oldest}"
