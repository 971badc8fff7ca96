"""Texts stand in spans only where somebody asks for them, and never with a secret."""

import json
from typing import Any, cast

import pytest

from backstay.contracts.admission import ModelSpec
from backstay.contracts.call import ActInput, ToolResult
from backstay.contracts.conversation import Decided, Item, ModelReply, ModelRequest, Observed, Said
from backstay.contracts.decision import Decision, ProposedCall
from backstay.telemetry import content
from backstay.telemetry.content import CHARACTERS, VARIABLE, answered, asked, executed, scrubbed_content

MODEL = ModelSpec(name="m", api="chat", max_output_tokens=100, give_up_after=600.0, price=None)
CALL = ProposedCall(call_id="1-0", tool="pay", arguments='{"key": "hunter22"}')
REPLY = ModelReply(Decision(text="I pay with hunter22.", calls=[CALL]), None, None)
RESULT = ToolResult(status="completed", text="paid with hunter22")


def scrub(text: str) -> str:
    return text.replace("hunter22", "[secret KEY]")


def request(*items: Item) -> ModelRequest:
    return ModelRequest(MODEL, "Be careful with hunter22.", (), items, 100, "k")


def edited(arguments: str | None) -> ActInput:
    return cast("ActInput", ActInput.model_construct(arguments=arguments))


def all_of_it() -> list[dict[str, Any]]:
    return [asked(request(Said("hello"))), answered(REPLY, "tool_call"), executed(edited("{}"), RESULT)]


@pytest.fixture(autouse=True)
def _asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setenv(VARIABLE, "span_only")


@pytest.mark.parametrize("value", ["", "false", "no_content", "event_only"])
def test_nothing_is_told_unless_somebody_asks_for_it(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, value)
    with scrubbed_content(scrub):
        assert all_of_it() == [{}, {}, {}]


def test_nothing_is_told_where_nobody_removes_secrets_or_traces() -> None:
    assert all_of_it() == [{}, {}, {}]


def test_nothing_is_told_while_nothing_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with scrubbed_content(scrub):
        assert all_of_it() == [{}, {}, {}]


@pytest.mark.parametrize("value", ["true", " SPAN_ONLY", "span_and_event"])
def test_a_request_has_the_instructions_once_and_what_is_new(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, value)
    goal, told = Said("Refund A17."), Observed("1-0", "paid with hunter22")
    with scrubbed_content(scrub):
        first, second = asked(request(goal)), asked(request(goal, Decided(REPLY.decision), told, Said("Conclude.")))
    system = json.loads(cast("str", first["gen_ai.system_instructions"]))
    assert system == [{"type": "text", "content": "Be careful with [secret KEY]."}]
    assert json.loads(cast("str", first["gen_ai.input.messages"])) == [
        {"role": "user", "parts": [{"type": "text", "content": "Refund A17."}]}
    ]
    assert set(second) == {"gen_ai.input.messages"}
    response = {"type": "tool_call_response", "id": "1-0", "response": "paid with [secret KEY]"}
    assert json.loads(cast("str", second["gen_ai.input.messages"])) == [
        {"role": "tool", "parts": [response]},
        {"role": "user", "parts": [{"type": "text", "content": "Conclude."}]},
    ]


def test_a_reply_has_its_text_and_its_calls() -> None:
    with scrubbed_content(scrub):
        found = json.loads(cast("str", answered(REPLY, "tool_call")["gen_ai.output.messages"]))
    call = {"type": "tool_call", "id": "1-0", "name": "pay", "arguments": '{"key": "[secret KEY]"}'}
    parts = [{"type": "text", "content": "I pay with [secret KEY]."}, call]
    assert found == [{"role": "assistant", "parts": parts, "finish_reason": "tool_call"}]


def test_a_call_has_its_result_and_arguments_that_people_changed() -> None:
    with scrubbed_content(scrub):
        assert executed(edited(None), RESULT) == {"gen_ai.tool.call.result": "paid with [secret KEY]"}
        assert executed(edited('{"a": 1}'), RESULT)["gen_ai.tool.call.arguments"] == '{"a": 1}'


def test_a_long_text_is_cut_once_it_has_no_secret() -> None:
    text = "x" * (CHARACTERS - 4) + "hunter22"
    with scrubbed_content(scrub):
        told = cast("str", executed(edited(None), RESULT.model_copy(update={"text": text}))["gen_ai.tool.call.result"])
    assert told == "x" * (CHARACTERS - 4) + "[sec"


def test_nobody_is_left_when_the_block_ends() -> None:
    with scrubbed_content(scrub), scrubbed_content(scrub):
        pass
    assert content._scrubbing == []  # pyright: ignore[reportPrivateUsage]
