"""The loop does what the model says until the model says no more, and nothing else."""

import asyncio
from pathlib import Path

import openai

from backstay.compare import loop
from backstay.compare.books import Books
from backstay.compare.shop import Shop
from backstay.testing import Call, Reply, Script, ScriptedModel

REFUND = Call("issue_refund", {"order_id": "A17", "amount": 950.0})


async def played(books: Path, script: Script) -> tuple[str | None, ScriptedModel]:
    async with ScriptedModel(script) as model:
        with openai.OpenAI(api_key="none", base_url=model.base_url, max_retries=0) as client:
            answer = await asyncio.to_thread(loop.autogpt, "do it", Shop(books, "run").tools(), client, "any")
        return answer, model


async def test_it_does_whatever_the_model_chooses(tmp_path: Path) -> None:
    answer, _ = await played(tmp_path / "books", [Reply(calls=[REFUND, REFUND]), Reply("done")])
    assert answer == "done"
    assert [entry.risky for entry in Books(tmp_path / "books").of(["run"])] == [True, True]


async def test_the_model_observes_each_result_and_each_failure(tmp_path: Path) -> None:
    calls = [Call("lookup_order", {"order_id": "A18"}), Call("no_such_tool", {}), Call("lookup_order", "{")]
    _, model = await played(tmp_path / "books", [Reply(calls=calls), Reply("done")])
    observed = model.requests[-1].raw.decode()
    assert "rain jacket" in observed
    assert observed.count("error: ") == 2


def test_it_is_as_short_as_a_first_tutorial() -> None:
    assert len(Path(loop.__file__).read_text().splitlines()) < 60
