"""A message that met a link of a run just as that closed is sent to the next one, and no other message twice."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from backstay.client import moved
from backstay.client.moved import PAUSES, delivered

CLIENT = cast("Client", None)
CLOSING = "workflow update was aborted by closing workflow"


class Door:
    """A run that takes a message after some refusals."""

    def __init__(self, *refusals: tuple[RPCStatusCode, str]) -> None:
        self.refusals = list(refusals)
        self.sent = 0

    async def send(self) -> str:
        self.sent += 1
        if self.refusals:
            status, text = self.refusals.pop(0)
            raise RPCError(text, status, b"")
        return "taken"


@pytest.fixture(autouse=True)
def run(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    found = SimpleNamespace(open=True)

    async def described(*_: Any) -> Any:
        return found

    monkeypatch.setattr(moved, "described", described)
    monkeypatch.setattr(moved, "PAUSES", (0.0,) * len(PAUSES))
    return found


async def test_it_is_sent_again_while_the_run_goes_on() -> None:
    door = Door((RPCStatusCode.NOT_FOUND, CLOSING), (RPCStatusCode.NOT_FOUND, "workflow execution already completed"))
    assert (await delivered(CLIENT, "run", door.send), door.sent) == ("taken", 3)


async def test_a_run_that_has_closed_is_told_so(run: SimpleNamespace) -> None:
    run.open = False
    door = Door((RPCStatusCode.NOT_FOUND, CLOSING))
    with pytest.raises(RPCError):
        await delivered(CLIENT, "run", door.send)
    assert door.sent == 1


@pytest.mark.parametrize("refusal", [(RPCStatusCode.UNAVAILABLE, CLOSING), (RPCStatusCode.NOT_FOUND, "no such run")])
async def test_another_refusal_is_not_tried_again(refusal: tuple[RPCStatusCode, str]) -> None:
    door = Door(refusal)
    with pytest.raises(RPCError):
        await delivered(CLIENT, "run", door.send)
    assert door.sent == 1


async def test_it_gives_up_at_last() -> None:
    door = Door(*[(RPCStatusCode.NOT_FOUND, CLOSING)] * (len(PAUSES) + 1))
    with pytest.raises(RPCError):
        await delivered(CLIENT, "run", door.send)
    assert door.sent == len(PAUSES) + 1
