"""What a loop's answer comes to, and that a killed process is started again with what it had not finished."""

import os
from pathlib import Path

import pytest

from backstay.compare.books import Books
from backstay.compare.loops import Loops, end_of, loop_process
from backstay.compare.measure import CUT_OFF, End
from backstay.testing import Call, Failure, Reply, ScriptedModel

MAIL = Reply(calls=[Call("send_email", {"order_id": "A17", "text": "hello"})])


@pytest.mark.parametrize(
    ("answer", "how", "known"),
    [
        ("All done.", "answered", True),
        ("42", "answered", True),
        (None, "said nothing", False),
        ("  \n", "said nothing", False),
        ('{"name": "send_email", "arguments": {}}', "answered in raw JSON", False),
    ],
)
def test_an_answer_is_what_somebody_can_use_or_it_is_not(answer: str | None, how: str, known: bool) -> None:
    assert end_of(answer) == End(how, known=known)


async def test_what_a_killed_process_had_not_finished_starts_again_from_its_goal(tmp_path: Path) -> None:
    scripts = {
        "first": [MAIL, Reply("written")],
        "second": [Reply("nothing to do")],
        "third": [Failure(400, "no more calls")],
        "fourth": [Failure(400, "no such model")],
    }
    books = Books(tmp_path / "books")
    books.plant_crash("run", after=1)
    async with ScriptedModel(scripts) as model:
        environment = {**os.environ, "OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "none"}
        async with loop_process(environment) as process:
            loops = Loops(process, books, "any", lambda goal: goal == "third", most_calls=7)
            ends, crashes = await loops.play({"run-1": "first", "run-2": "second", "run-3": "third", "run-4": "fourth"})
    assert crashes == 1
    assert ends == {
        "run-1": End("answered"),
        "run-2": End("answered"),
        "run-3": End(CUT_OFF, "after 7 model calls"),
        "run-4": End("crashed", "BadRequestError", known=False),
    }
    assert len(books.of(["run-1"])) == 2
    assert process.returncode is not None
