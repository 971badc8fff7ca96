"""Puts the question of an open approval to a person at the terminal, and sends the answer."""

from collections.abc import Awaitable, Callable, Mapping

from backstay.client.run import Run
from backstay.contracts.approval import EditResult, PendingApproval, VoteResult
from backstay.errors import BackstayError
from backstay.kernel.question import choices_of

from ..shell.program import as_typed
from ..shell.request import read_arguments
from ..shell.terminal import clean, progress, say
from ..shell.typed import Typed
from .answered import taken
from .approval import facts

_LATER = ("later", "l", "")
_RELEASE = ("yes", "no", "edit")
_CHOICES = {
    "action": _RELEASE,
    "exposure": _RELEASE,
    "budget": ("yes", "no"),
    "outcome_unknown": ("happened", "not_happened", "stop"),
}
_SAID = {"yes": "approve", "no": "deny"}

Answer = VoteResult | EditResult


class Question:
    """One open approval, and the person who may answer it."""

    def __init__(self, run: Run, approval: PendingApproval, me: str, typed: Callable[[], Typed] = Typed) -> None:
        self._run = run
        self._approval = approval
        self._me = me
        self._typed = typed

    async def put(self) -> None:
        """Shows the card and asks until there is an answer, or the person wants to answer later."""
        choices = _CHOICES.get(self._approval.kind)
        progress().print(facts(self._run.run_id, self._approval))
        with self._typed() as typed:
            while not await (self._answered(typed) if choices is None else self._asked(typed, choices)):
                pass

    async def _answered(self, typed: Typed) -> bool:
        """Asks once for the answer to a question of the model; returns whether there is nothing left to ask."""
        choices = choices_of(self._approval.args)
        shown = ", ".join(map(clean, choices)) if choices else "in your words; nothing: later"
        said = await _line(typed, f"{clean(self._me)}, your answer ({shown})?")
        if said is None or not said.strip():
            say("later: the run waits on")
            return True
        return await self._took(lambda: self._run.answer(self._approval.approval_id, self._me, said), said)

    async def _asked(self, typed: Typed, choices: tuple[str, ...]) -> bool:
        """Asks once; returns whether there is nothing left to ask."""
        said = await _line(typed, f"{clean(self._me)}, your answer ({', '.join(choices)}, later)?")
        if said is None or said.lower() in _LATER:
            say("later: the run waits on")
            return True
        chosen = [one for one in choices if one == said.lower() or one[0] == said.lower()]
        if len(chosen) != 1:
            return False
        return await self._took(lambda: self._sent(typed, chosen[0]), _SAID.get(chosen[0], chosen[0]))

    async def _took(self, send: Callable[[], Awaitable[Answer | None]], said: str) -> bool:
        """Sends an answer and says what it did; returns whether the run took one."""
        try:
            answer = await send()
        except BackstayError as error:
            say(clean(str(error)), "red")
            return False
        if answer is not None:
            say(as_typed(taken(answer, said, self._approval.required, self._run.run_id)))
        return answer is not None

    async def _sent(self, typed: Typed, chosen: str) -> Answer | None:
        """Sends an answer; returns None if the person left out what it needs.

        Raises:
            BackstayError: the run refused it, or what was typed cannot be sent.
        """
        run, approval, me = self._run, self._approval.approval_id, self._me
        if chosen == "edit":
            args = await _line(typed, "all arguments, as JSON (nothing: go back)?")
            return await run.edit(approval, me, read_arguments(args)) if args else None
        if chosen == "no":
            comment = await _line(typed, "why (the model reads it; may stay empty)?")
            return await run.deny(approval, me, comment or None)
        send: Mapping[str, Callable[[], Awaitable[Answer]]] = {
            "yes": lambda: run.approve(approval, me),
            **{said: lambda said=said: run.answer(approval, me, said) for said in _CHOICES["outcome_unknown"]},
        }
        return await send[chosen]()


async def _line(typed: Typed, question: str) -> str | None:
    say(question, "bold")
    return await typed.line()
