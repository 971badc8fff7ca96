"""Says what a run waits for as soon as it waits: people, or a model that does not answer; and asks who may answer."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager

from backstay.client.run import Run
from backstay.contracts.approval import PendingApproval
from backstay.contracts.card import is_whole
from backstay.errors import BackstayError
from backstay.kernel.person import same_person

from ..shell.connected import person
from ..shell.terminal import say
from ..shell.typed import is_interactive
from .approval import waiting_line
from .question import Question
from .trouble import failing_decision, model_trouble

_POLL_SECONDS = 0.5
Aside = Callable[[], AbstractContextManager[object]]
"""Opens a context in which nothing else draws on the terminal."""


class Voice:
    """Says each thing that a run waits for once.

    Args:
        run: the run.
        me: the person who follows and can be asked; None if nobody can.
        aside: keeps the terminal free for a question.
    """

    def __init__(self, run: Run, me: str | None = None, aside: Aside = contextlib.nullcontext) -> None:
        self._run = run
        self._me = me
        self._aside = aside
        self._said: set[tuple[str, int]] = set()
        self._attempt: int | None = None
        self._asked: list[str] = []
        self._question: asyncio.Task[None] | None = None

    async def speak(self) -> None:
        """Looks again and again until it is cancelled."""
        try:
            while True:
                # Whoever waits for the run's end says what is wrong with the server or the workers.
                with contextlib.suppress(BackstayError):
                    await self._look_at_the_model()
                    await self._look_for_people()
                await asyncio.sleep(_POLL_SECONDS)
        finally:
            if self._question is not None:
                self._question.cancel()

    async def _look_at_the_model(self) -> None:
        pending = (await self._run.describe()).pending
        failing = failing_decision(pending)
        attempt = failing.attempt if failing else None
        # An attempt under way says nothing new, unless it is the first that is seen.
        if attempt != self._attempt and not (failing and self._attempt and not failing.next_try_at):
            said = model_trouble(pending)
            say(said or "the model answers again", "yellow" if said else "")
            self._attempt = attempt

    async def _look_for_people(self) -> None:
        waiting = (await self._run.status()).pending_approvals
        if self._question and self._asked[-1] not in [one.approval_id for one in waiting]:
            say("it is answered")
            self._question.cancel()
            self._question = None
        for one in waiting:
            key = (one.approval_id, len(one.answered_by))
            if key not in self._said:
                self._said.add(key)
                say(waiting_line(self._run.run_id, one), "yellow")
            if self._question is None and one.approval_id not in self._asked:
                self._ask(one)

    def _ask(self, approval: PendingApproval) -> None:
        """Puts the question to the person, if they may answer, and if the card shows them the whole call."""
        me = self._me
        if me is not None and is_whole(approval) and any(same_person(me, one) for one in approval.approvers):
            self._asked.append(approval.approval_id)
            self._question = asyncio.create_task(self._put(Question(self._run, approval, me)))

    async def _put(self, question: Question) -> None:
        with self._aside():
            await question.put()
        self._question = None


@contextlib.asynccontextmanager
async def speaking(
    run: Run, by: str | None = None, aside: Aside = contextlib.nullcontext, *, asks: bool = True
) -> AsyncGenerator[None]:
    """Says beside the context what a run waits for.

    Args:
        run: the run.
        by: the person who follows it; default: `BACKSTAY_USER`, else the login name.
        aside: keeps the terminal free for a question.
        asks: puts questions, if a person sits at a terminal.
    """
    me = person(by) if asks and is_interactive() else None
    task = asyncio.create_task(Voice(run, me, aside).speak())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
