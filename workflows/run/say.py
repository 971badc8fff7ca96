"""Takes the words of people to a run that is kept open after its answer, and waits for more."""

from datetime import timedelta
from typing import Any

from temporalio import workflow

from backstay.contracts import names
from backstay.contracts.messages import Say, SayResult
from backstay.kernel.conversation import Speakers
from backstay.kernel.conversation_events import ConversationClosed, ConversationOpened, TurnEnded, WordsSaid

from .chain import Chain
from .clock import Clock
from .conversation import answer_of, conversation_of
from .live import LiveRun
from .messages import Messages
from .record import Record


class Conversation:
    """The conversation of a run with people."""

    def __init__(self, record: Record, clock: Clock, messages: Messages, chain: Chain) -> None:
        self._record = record
        self._clock = clock
        self._messages = messages
        self._chain = chain
        self._run: LiveRun | None = None

    def begin(self, run: LiveRun) -> None:
        """Takes words from now on: until a run is admitted nobody knows who may speak."""
        self._run = run
        if (spec := conversation_of(run)) is not None and not run.state.conversation.kept_open:
            run.apply(ConversationOpened(int(spec.keep_open * 1000), spec.group))

    async def say(self, args: tuple[Any, ...]) -> SayResult:
        """Takes the words of a person; returns before they are answered."""
        said = self._messages.read(names.SAY, Say, args)
        await workflow.wait_condition(lambda: self._run is not None or self._record.over or self._record.closed)
        self._clock.check_deadline()
        self._speaking(said)  # nothing is verified for a message that is refused anyway
        await self._messages.check_sender(names.SAY, said)
        # While the proof was verified the run may have ended, and the time to say more may be over.
        speakers = self._speaking(said)
        turn = self._record.state.conversation.next_turn
        if said.text is not None:
            self._record.apply(WordsSaid(said.by, speakers.asked(said.by), said.text))
        if said.close:
            self._record.apply(ConversationClosed(said.by))
        return SayResult(state=self._messages.state().state, turn=turn)

    def _speaking(self, said: Say) -> Speakers:
        """Returns who may speak.

        Raises:
            ApplicationError: this person may not, or nobody may any more.
        """
        run, record = self._run, self._record
        if run is None or record.over or record.closed:
            raise self._messages.refused(names.SAY, "RunEnds", "the run comes to its end", said.by)
        spec = run.admission.conversation
        speakers = Speakers(run.request.requested_by, spec.members if spec else ())
        # The time stands still while an incident holds the run, and goes on once that is lifted.
        now_ms = 0 if record.state.frozen else self._clock.now_ms()
        if refusal := record.state.conversation.refuses(said.by, said.text, speakers, now_ms):
            raise self._messages.refused(names.SAY, refusal.code, refusal.text, said.by)
        return speakers

    def answered(self, run: LiveRun) -> None:
        """Ends the turn, where it was answered, and begins the time in which people may say more."""
        state, spec = run.state, run.admission.conversation
        if not state.answered or not state.conversation.kept_open or state.conversation.open_until_ms is not None:
            return
        until = self._clock.open_until_ms(timedelta(seconds=spec.keep_open if spec else 0))
        run.apply(TurnEnded(state.conversation.turn, answer_of(run) or "", until))

    async def heard(self) -> bool:
        """Waits for words, where the run has answered; returns False where it ends instead, or another link goes on."""
        record = self._record
        while self._waits() and not self._rolls() and (until := record.state.conversation.open_until_ms) is not None:
            if record.state.frozen:
                await workflow.wait_condition(lambda: not record.state.frozen or not self._waits() or self._rolls())
                continue
            try:
                # People speak, close the conversation or kill the run meanwhile, or an incident holds it.
                await workflow.wait_condition(
                    lambda: not self._waits() or bool(record.state.frozen) or self._rolls(),
                    timeout=timedelta(milliseconds=max(0, until - self._clock.now_ms())),
                    timeout_summary="for people to say more",
                )
            except TimeoutError:
                if self._waits() and not record.state.frozen:
                    record.apply(ConversationClosed(None))
        return not record.over and not self._waits()

    def _waits(self) -> bool:
        return self._record.state.listens and not self._record.over

    def _rolls(self) -> bool:
        return self._run is not None and self._chain.due(self._run.admission)
