"""Notes of each request whether it was sent and answered: the errors of the SDK tell neither."""

import contextlib
from collections.abc import Generator
from contextvars import ContextVar
from dataclasses import dataclass

RequestId = int | str


@dataclass(slots=True)
class Sent:
    """Tells what is known of one request.

    Attributes:
        written: its first byte may have reached the server.
        answered: the server has answered it, whatever the answer is worth.
        status: of the HTTP response, where there was one.
        retry_after: the seconds that the response asks to wait.
        in_session: it named a session that the server was to know.
        broken: the response is not whole: it still comes, broke off, or was too long.
    """

    written: bool = False
    answered: bool = False
    status: int | None = None
    retry_after: float | None = None
    in_session: bool = False
    broken: bool = False


_CURRENT: ContextVar[Sent | None] = ContextVar("sent", default=None)


@contextlib.contextmanager
def noting() -> Generator[Sent]:
    """Notes what becomes of the request that is made in the context; yields the notes."""
    sent = Sent()
    token = _CURRENT.set(sent)
    try:
        yield sent
    finally:
        _CURRENT.reset(token)


class Requests:
    """The requests of one connection that are not answered yet, by the ids that the SDK gave them.

    `last` is the one that was sent last over HTTP: what its status says the SDK does not tell where it cannot connect.
    """

    def __init__(self) -> None:
        self.last = Sent()
        self._open: dict[RequestId, Sent] = {}

    def begin(self, request: RequestId) -> Sent:
        """Takes down a request that is about to be sent, by whoever makes it."""
        return self._open.setdefault(request, _CURRENT.get() or Sent())

    def of(self, request: RequestId) -> Sent | None:
        """Returns what is known of a request; None where it was answered, or never begun."""
        return self._open.get(request)

    def answer(self, request: RequestId | None) -> None:
        """Takes down that a request was answered; of two answers the first counts."""
        sent = None if request is None else self._open.pop(request, None)
        if sent is not None:
            sent.answered = True
