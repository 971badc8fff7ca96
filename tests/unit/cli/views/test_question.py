"""What an approver types at the terminal, and what is sent for it."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from backstay.cli.shell.typed import Typed
from backstay.cli.views.question import Question
from backstay.client.run import Run
from backstay.contracts.approval import EditResult, VoteResult
from backstay.errors import RefusedError

from .test_approval import pending

CLOSED = VoteResult(approval_id="ap-1", state="closed", answered_by=["ann"])


class FakeRun:
    """A run that keeps what was sent to it; it refuses the first answer where told to."""

    run_id = "r1"

    def __init__(self, *, refuses: bool = False) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self._refuses = refuses

    def _take(self, *sent: Any) -> None:
        self.sent.append(sent)
        if self._refuses:
            self._refuses = False
            raise RefusedError("r1", "InvalidArguments", "they do not fit")

    async def approve(self, approval_id: str, by: str) -> VoteResult:
        self._take("approve", approval_id, by)
        return CLOSED

    async def deny(self, approval_id: str, by: str, comment: str | None) -> VoteResult:
        self._take("deny", approval_id, by, comment)
        return CLOSED

    async def answer(self, approval_id: str, by: str, said: str) -> VoteResult:
        self._take("answer", approval_id, by, said)
        return CLOSED

    async def edit(self, approval_id: str, by: str, args: dict[str, Any]) -> EditResult:
        self._take("edit", approval_id, by, args)
        return EditResult(approval_id=approval_id, outcome="allow", replaced_by=None)


class FakeTyped:
    """Lines that were typed already; after them there are no more."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = list(lines)

    def __enter__(self) -> "FakeTyped":
        return self

    def __exit__(self, *error: object) -> None:
        return

    async def line(self) -> str | None:
        return self._lines.pop(0) if self._lines else None


async def typed(run: FakeRun, *lines: str, kind: str = "action") -> list[tuple[Any, ...]]:
    question = Question(cast("Run", run), pending(kind=kind), "ann", lambda: cast("Typed", FakeTyped(lines)))
    await question.put()
    return run.sent


@pytest.mark.parametrize(
    ("lines", "sent"),
    [
        (["yes"], [("approve", "ap-1", "ann")]),
        (["Y"], [("approve", "ap-1", "ann")]),
        (["no", "too much"], [("deny", "ap-1", "ann", "too much")]),
        (["n", ""], [("deny", "ap-1", "ann", None)]),
        (["edit", '{"amount": 5}'], [("edit", "ap-1", "ann", {"amount": 5})]),
        (["edit", "", "later", "yes"], []),
        (["edit", "no json", "yes"], [("approve", "ap-1", "ann")]),
        (["later", "yes"], []),
        (["L", "yes"], []),
        (["", "yes"], []),
        ([], []),
        (["perhaps", "yes"], [("approve", "ap-1", "ann")]),
    ],
)
async def test_what_is_typed_is_sent_and_nothing_else(lines: list[str], sent: list[tuple[Any, ...]]) -> None:
    assert await typed(FakeRun(), *lines) == sent


async def test_what_the_run_refuses_is_asked_again(capsys: pytest.CaptureFixture[str]) -> None:
    sent = await typed(FakeRun(refuses=True), "edit", '{"amount": "x"}', "yes")
    assert [one[0] for one in sent] == ["edit", "approve"]
    assert "they do not fit" in capsys.readouterr().err


async def test_an_unknown_outcome_has_its_own_answers() -> None:
    assert await typed(FakeRun(), "yes", "not_happened", kind="outcome_unknown") == [
        ("answer", "ap-1", "ann", "not_happened")
    ]


async def test_a_question_is_answered_with_the_words_as_they_are_typed() -> None:
    said = ("answer", "ap-1", "ann", "Yes, the blue one")
    assert await typed(FakeRun(), "Yes, the blue one", kind="question") == [said]
    assert await typed(FakeRun(refuses=True), "no such choice", "Yes, the blue one", kind="question") == [
        ("answer", "ap-1", "ann", "no such choice"),
        said,
    ]
    assert await typed(FakeRun(), " ", kind="question") == await typed(FakeRun(), kind="question") == []
