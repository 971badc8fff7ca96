"""Results of tools: whatever one returns, the model reads one text of bounded size, and no secret is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backstay.errors import ConfigurationError
from backstay.testing import Call, Reply

if TYPE_CHECKING:
    from tests.workflow.conftest import Opener

APIS = pytest.mark.parametrize("api", ["responses", "chat"])
DONE = Reply("done")
SHOWN = 32_000
SECRET = "canary-4242-secret"
TOOLS = '''
import functools
import itertools
from backstay.errors import OutcomeUnknownError
from backstay.tools import Happened

class Text(str):
    def encode(self, *given, **more):
        raise RuntimeError(str(self))

@tool(effect="write", secrets=["SHOP_TOKEN"])
async def own_text(call: ToolCall) -> str:
    """Returns a text of its own kind."""
    return Text("token is " + call.secret("SHOP_TOKEN"))

@tool(effect="write")
def endless() -> list[int]:
    """Counts for ever."""
    return itertools.count()

def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **values):
        return function(*args, **values)
    return wrapper

@tool(effect="write")
@logged
async def wrapped(call: ToolCall, text: str) -> str:
    """Is async behind a wrapper that is not."""
    log(call, text)
    return text

async def later(call: ToolCall, text: str) -> str:
    log(call, text)
    return text

@tool(effect="write")
def forgotten(call: ToolCall, text: str) -> str:
    """Forgets to await."""
    return later(call, text)

def all_of_it(call: ToolCall, number: int):
    return Happened("\\x01" * 32_000)

@tool(effect="once", reconcile=all_of_it)
def lose(call: ToolCall, number: int) -> str:
    """Does not know what became of it."""
    raise OutcomeUnknownError("who knows")
'''

RESULTS: dict[str, tuple[Call, str]] = {
    "is no JSON": (Call("odd"), "(the call was executed; its result, a object, cannot be written as JSON)"),
    "holds itself": (Call("circle"), "(the call was executed; its result, a list, cannot be written as JSON)"),
    "is half a character": (Call("broken_text"), "half ? a pair"),
    "has half a character for a key": (Call("broken_key"), '{"?":"?"}'),
    "is returned beside a print": (Call("loud"), "quiet"),
    "is good": (Call("echo", {"text": "good"}), "good"),
}


@APIS
async def test_every_result_is_one_text_that_the_model_reads(workshop: Opener, api: str) -> None:
    calls = [call for call, _ in RESULTS.values()]
    async with workshop([Reply(calls=calls), DONE], model_api=api) as shop:
        handle = await shop.start()
        result = await shop.result(handle)
        assert (result.status, result.spent.tool_calls) == ("completed", len(calls))
        told = [text for _, text in shop.answers()]
        assert dict(zip(RESULTS, told, strict=True)) == {name: text for name, (_, text) in RESULTS.items()}
        statuses = [item["status"] for item in await shop.transcript(handle, "result")]
        assert statuses == ["completed"] * len(calls)


@APIS
async def test_a_huge_result_is_cut_and_says_so(workshop: Opener, api: str) -> None:
    async with workshop([Reply(calls=[Call("huge", {"size": 5_000_000})]), DONE], model_api=api) as shop:
        assert (await shop.run()).status == "completed"
        [(_, text)] = shop.answers()
        assert text == "x" * SHOWN + f"\n[cut here: 5000000 bytes in all, the first {SHOWN} are shown]"


async def test_of_a_result_without_an_end_the_beginning_is_shown(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("endless")]), DONE], tools=TOOLS) as shop:
        assert (await shop.run()).status == "completed"
        [(_, text)] = shop.answers()
        assert text.startswith("[0,1,2,3,")
        assert "[cut here" in text


async def test_a_text_of_a_class_of_its_own_is_read_as_text_and_keeps_its_secret(
    workshop: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", SECRET)
    async with workshop([Reply(calls=[Call("own_text")]), DONE], tools=TOOLS) as shop:
        handle = await shop.start()
        assert (await shop.result(handle)).status == "completed"
        assert [text for _, text in shop.answers()] == ["token is [secret SHOP_TOKEN]"]
        assert not any(SECRET.encode() in event.SerializeToString() for event in await shop.events(handle))


async def test_a_tool_that_is_async_behind_a_wrapper_is_awaited_and_one_that_forgets_to_says_so(
    workshop: Opener,
) -> None:
    calls = [Call("wrapped", {"text": "a"}), Call("forgotten", {"text": "b"})]
    async with workshop([Reply(calls=calls), DONE], tools=TOOLS) as shop:
        assert (await shop.run()).status == "completed"
        (_, awaited), (_, forgotten) = shop.answers()
        assert awaited == "a"
        assert "make it `async def`" in forgotten
        assert shop.lines() == ["a"]


async def test_many_results_that_only_reconcile_has_found_fit_into_one_request(workshop: Opener) -> None:
    calls = [Call("lose", {"number": number}) for number in range(40)]
    roomy = '[budget]\ntokens = 900_000_000\nusd = "100000"\ntool_calls = 100\n'
    async with workshop([Reply(calls=calls), DONE], roomy, tools=TOOLS) as shop:
        handle = await shop.start()
        assert (await shop.result(handle)).status == "completed"
        told = [text for _, text in shop.answers()]
        assert len(told) == 40
        assert all("[cut here: 32000 bytes in all" in text for text in told)
        assert "WORKFLOW_TASK_FAILED" not in await shop.event_names(handle)


async def test_a_worker_with_a_tool_that_yields_does_not_start(workshop: Opener) -> None:
    tools = '\n@tool\nasync def feed() -> str:\n    """Yields."""\n    yield "a"\n'
    with pytest.raises(ConfigurationError, match="return a list"):
        async with workshop([], tools=tools):
            pass
