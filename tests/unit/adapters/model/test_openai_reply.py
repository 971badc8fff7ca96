"""What the model adapter reads in replies, over both APIs and real HTTP."""

import json
from typing import Any

import pytest

from backstay.adapters.model.openai import MAX_BYTES
from backstay.contracts.admission import Api
from backstay.contracts.decision import BilledUsage, Decision, Part, ProposedCall
from backstay.testing import (
    MISSING,
    Call,
    Raw,
    RawUsage,
    Reply,
    Usage,
)

from .asking import Opened, call_id, failed, replied

REASONING: dict[str, Any] = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAA"}


def whole(api: Api, **changes: Any) -> Raw:
    """A reply of either API with its fields replaced; `message` and `choice` reach into the chat reply."""
    if api == "chat":
        message = {"role": "assistant", "content": "hi"} | changes.pop("message", {})
        choice = {"index": 0, "finish_reason": "stop", "message": message} | changes.pop("choice", {})
        return Raw(200, json.dumps({"model": "scripted", "choices": [choice]} | changes))
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}
    return Raw(200, json.dumps({"model": "scripted", "status": "completed", "output": [said]} | changes))


def with_calls(api: Api, *calls: dict[str, Any]) -> Raw:
    """A reply with calls as a server may write them; each has a name and arguments, perhaps an id."""
    if api == "chat":
        listed = [{"type": "function", "id": call.pop("id", None), "function": call} for call in calls]
        return whole(api, message={"content": None, "tool_calls": listed})
    return whole(api, output=[{"type": "function_call", "call_id": call.pop("id", None), **call} for call in calls])


async def test_text_is_read(api: Api, model: Opened) -> None:
    reply = await replied(model, api, Reply("It left on Monday.", usage=Usage(100, 20, cached_tokens=60)))
    assert reply.decision == Decision(text="It left on Monday.")
    assert reply.usage == BilledUsage(input_tokens=100, output_tokens=20, cached_tokens=60)
    assert reply.model == "scripted"


async def test_a_call_is_read_with_its_arguments_as_written(api: Api, model: Opened) -> None:
    reply = await replied(model, api, Reply(calls=[Call("lookup", '{"id" : "A17"', id="call_7")]))
    [call] = reply.decision.calls
    assert call == ProposedCall(call_id="1-0", tool="lookup", arguments='{"id" : "A17"', wire_id="call_7")
    assert reply.decision.text is None


async def test_parallel_calls_keep_their_order_and_get_ids_of_their_own(api: Api, model: Opened) -> None:
    calls = [Call("lookup", {"id": str(number)}, id="same") for number in range(3)]
    reply = await replied(model, api, Reply("I look.", calls=calls))
    assert [call.call_id for call in reply.decision.calls] == ["1-0", "1-1", "1-2"]
    assert [json.loads(call.arguments)["id"] for call in reply.decision.calls] == ["0", "1", "2"]
    assert reply.decision.text == "I look."


async def test_calls_without_ids_are_read(api: Api, model: Opened) -> None:
    reply = await replied(model, api, with_calls(api, {"name": "lookup", "arguments": "{}"}))
    assert [call.call_id for call in reply.decision.calls] == ["1-0"]


async def test_arguments_sent_as_an_object_become_text(api: Api, model: Opened) -> None:
    reply = await replied(model, api, with_calls(api, {"name": "lookup", "arguments": {"id": "größe"}}))
    assert reply.decision.calls[0].arguments == '{"id": "größe"}'


async def test_overlong_names_and_arguments_are_cut(api: Api, model: Opened) -> None:
    reply = await replied(model, api, with_calls(api, {"name": "n" * 900, "arguments": "a" * 400_000}))
    assert len(reply.decision.calls[0].tool) == 200
    assert len(reply.decision.calls[0].arguments) == 300_000


async def test_at_most_five_hundred_calls_are_kept(api: Api, model: Opened) -> None:
    reply = await replied(model, api, with_calls(api, *({"name": "x", "arguments": "{}"} for _ in range(600))))
    assert len(reply.decision.calls) == 500


@pytest.mark.parametrize(("finish", "read"), [("length", "length"), ("content_filter", "filtered"), (None, "stop")])
async def test_how_a_reply_ended_is_read(api: Api, model: Opened, finish: str | None, read: str) -> None:
    reply = await replied(model, api, Reply("part", calls=[Call("lookup", '{"id": "A')], finish=finish))
    assert reply.decision.finish == read


@pytest.mark.parametrize("text", [None, "", " \n\t "])
async def test_an_empty_reply_has_no_text(api: Api, model: Opened, text: str | None) -> None:
    assert (await replied(model, api, Reply(text))).decision == Decision()


async def test_a_refusal_is_text(api: Api, model: Opened) -> None:
    part = {"type": "refusal", "refusal": "I will not."}
    turn = (
        whole(api, message={"content": None, "refusal": "I will not."})
        if api == "chat"
        else whole(api, output=[{"type": "message", "content": [part]}])
    )
    assert (await replied(model, api, turn)).decision.text == "I will not."


async def test_content_in_parts_is_joined(model: Opened) -> None:
    parts = [{"type": "text", "text": "one "}, {"type": "thinking"}, {"type": "text", "text": "two"}]
    assert (await replied(model, "chat", whole("chat", message={"content": parts}))).decision.text == "one two"


async def test_several_messages_of_one_response_are_paragraphs(model: Opened) -> None:
    output = [{"type": "message", "content": [{"type": "output_text", "text": text}]} for text in ("one", "two")]
    assert (await replied(model, "responses", whole("responses", output=output))).decision.text == "one\n\ntwo"


async def test_reasoning_is_kept_verbatim(model: Opened) -> None:
    output = [REASONING, {"type": "function_call", "call_id": "x", "name": "lookup", "arguments": "{}"}]
    decision = (await replied(model, "responses", whole("responses", output=output))).decision
    assert decision.reasoning == [REASONING]
    assert len(decision.calls) == 1


async def test_output_of_a_kind_nobody_asked_for_is_passed_over(model: Opened) -> None:
    turn = whole("responses", output=[{"type": "web_search_call", "id": "ws_1"}])
    assert (await replied(model, "responses", turn)).decision == Decision()


async def test_lone_surrogates_are_replaced(api: Api, model: Opened) -> None:
    reply = await replied(model, api, Reply("a\ud800b", calls=[Call("look\udfffup", '{"id": "\udc00"}')]))
    assert reply.decision.text == "a?b"
    assert reply.decision.calls[0].tool == "look?up"
    assert reply.decision.calls[0].arguments == '{"id": "?"}'
    assert reply.decision.model_dump_json()


async def test_lone_surrogates_in_reasoning_are_replaced(model: Opened) -> None:
    output = [{"type": "reasoning", "content": [{"text\ud800": "\udc00"}]}]
    decision = (await replied(model, "responses", whole("responses", output=output))).decision
    assert decision.reasoning == [{"type": "reasoning", "content": [{"text?": "?"}]}]


def usage(api: Api, read: Any, written: Any, cached: Any = 0) -> RawUsage:
    names = ("prompt_tokens", "completion_tokens") if api == "chat" else ("input_tokens", "output_tokens")
    return RawUsage({names[0]: read, names[1]: written, f"{names[0]}_details": {"cached_tokens": cached}})


@pytest.mark.parametrize(
    ("read", "written", "cached"),
    [
        (-1, 5, 0),
        (10, -5, 0),
        (10, 5, -1),
        (10, 5, 11),
        (None, 5, 0),
        (10, None, 0),
        ("10", 5, 0),
        (10, 5, "3"),
        (10.0, 5, 0),
        (10, 5.5, 0),
        (True, 5, 0),
        (10, False, 0),
        (10, 5, True),
        (float("nan"), 5, 0),
        (10, float("inf"), 0),
        (10**15 + 1, 5, 0),
        (10, 10**300, 0),
        (10, 5, {}),
    ],
)
async def test_a_bill_that_makes_no_sense_is_none(
    api: Api, model: Opened, read: Any, written: Any, cached: Any
) -> None:
    reply = await replied(model, api, Reply("hi", usage=usage(api, read, written, cached)))
    assert reply.usage is None
    assert reply.decision.text == "hi"


@pytest.mark.parametrize("value", [MISSING, None, [], "free", 0, {}, {"total_tokens": 7}])
async def test_a_bill_of_another_shape_is_none(api: Api, model: Opened, value: Any) -> None:
    assert (await replied(model, api, Reply("hi", usage=RawUsage(value)))).usage is None


async def test_a_number_too_long_to_be_one_costs_the_bill_alone(api: Api, model: Opened) -> None:
    good = json.loads(whole(api).body) | {"usage": "LIE"}
    name = "prompt_tokens" if api == "chat" else "input_tokens"
    turn = Raw(200, json.dumps(good).replace('"LIE"', f'{{"{name}": {"9" * 5000}}}'))
    reply = await replied(model, api, turn)
    assert reply.usage is None
    assert reply.decision.text == "hi"


async def test_details_that_are_no_object_spoil_the_bill(api: Api, model: Opened) -> None:
    lie = usage(api, 10, 5).value
    assert isinstance(lie, dict)
    lie = {name: "none" if name.endswith("_details") else value for name, value in lie.items()}
    assert (await replied(model, api, Reply("hi", usage=RawUsage(lie)))).usage is None


@pytest.mark.parametrize("details", [None, {}, {"cached_tokens": None}, MISSING])
async def test_a_bill_without_details_has_nothing_cached(api: Api, model: Opened, details: Any) -> None:
    names = ("prompt_tokens", "completion_tokens") if api == "chat" else ("input_tokens", "output_tokens")
    value: dict[str, Any] = {names[0]: 10, names[1]: 10**15}
    if details is not MISSING:
        value[f"{names[0]}_details"] = details
    reply = await replied(model, api, Reply("hi", usage=RawUsage(value)))
    assert reply.usage == BilledUsage(input_tokens=10, output_tokens=10**15)


@pytest.mark.parametrize(
    "turn",
    [
        Raw(200, "<html>Sign in</html>", content_type="text/html"),
        Raw(200, ""),
        Raw(200, "null"),
        Raw(200, "[]"),
        Raw(200, "{}"),
        Raw(200, '{"choices": null, "output": null}'),
        Raw(200, '{"choices": []}'),
        Raw(200, '{"choices": [{}], "output": [{"type": "message", "content": 7}]}'),
        Raw(200, '{"choices": [{"message": {"content": 7}}], "output": [7]}'),
        Raw(200, '{"choices": [{"message": 7}], "output": ["x"]}'),
        Raw(200, b"\xff\xfe\xff"),
        Raw(200, '{"choices": ' + "[" * 100_000),
        Raw(200, '{"output": ' + "[" * 100 + "]" * 100 + "}"),
    ],
)
async def test_a_body_that_is_no_reply_is_unreadable(api: Api, model: Opened, turn: Raw) -> None:
    error = await failed(model, api, turn)
    assert (error.kind, error.retryable, error.billed) == ("unreadable", True, True)


async def test_a_body_beyond_the_limit_is_unreadable(api: Api, model: Opened) -> None:
    error = await failed(model, api, Raw(200, whole(api).body + " " * MAX_BYTES))  # type: ignore[operator]
    assert (error.kind, error.retryable, error.billed) == ("unreadable", True, True)


async def test_an_error_in_place_of_choices_is_quoted(model: Opened) -> None:
    error = await failed(model, "chat", Raw(200, '{"error": {"message": "upstream is gone", "code": 502}}'))
    assert error.kind == "overloaded"
    assert "upstream is gone" in str(error)


async def test_a_choice_that_ended_in_an_error_is_lost(model: Opened) -> None:
    error = await failed(model, "chat", whole("chat", choice={"finish_reason": "error"}))
    assert (error.kind, error.retryable, error.billed) == ("lost", True, True)


@pytest.mark.parametrize(
    ("changes", "kind", "retryable"),
    [
        ({"error": {"code": "server_error", "message": "broke"}}, "overloaded", True),
        ({"error": {"code": "rate_limit_exceeded", "message": "slow"}}, "rate_limited", True),
        ({"error": {"code": "vector_store_timeout", "message": "hm"}}, "lost", True),
        ({"error": {"code": "invalid_prompt", "message": "no"}}, "refused", False),
        ({"error": "text"}, "lost", True),
        ({"error": None}, "lost", True),
    ],
)
async def test_a_response_that_failed_is_an_error_that_may_have_been_billed(
    model: Opened, changes: dict[str, Any], kind: str, retryable: bool
) -> None:
    error = await failed(model, "responses", whole("responses", status="failed", **changes))
    assert (error.kind, error.retryable, error.billed) == (kind, retryable, True)


@pytest.mark.parametrize(("reason", "finish"), [("content_filter", "filtered"), ("other", "length"), (None, "length")])
async def test_an_incomplete_response_was_cut_whatever_the_reason(
    model: Opened, reason: str | None, finish: str
) -> None:
    turn = whole("responses", status="incomplete", incomplete_details={"reason": reason} if reason else None)
    assert (await replied(model, "responses", turn)).decision.finish == finish


async def test_the_servers_own_ids_are_kept_where_a_request_may_repeat_them(api: Api, model: Opened) -> None:
    ids: list[Any] = ["D681PevKs", "functions.lookup:0", None, "", 7, "x" * 200, "a\nb", "same", "same"]
    reply = await replied(model, api, with_calls(api, *({"id": id, "name": "x", "arguments": "{}"} for id in ids)))
    assert [call.wire_id for call in reply.decision.calls] == [*ids[:2], *[None] * 5, "same", "same"]
    assert [call.call_id for call in reply.decision.calls] == [call_id(at) for at in range(len(ids))]


async def test_what_a_chat_message_carries_beside_text_and_calls_is_kept(model: Opened) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "x", "arguments": "{}"}, "extra_content": {"s": 1}}
    nulls = {"refusal": None, "annotations": [], "audio": None, "function_call": None}
    message = {
        "content": None,
        "tool_calls": [call, {**call, "extra_content": None}],
        "reasoning_content": "T",
        **nulls,
    }
    decision = (await replied(model, "chat", whole("chat", message=message))).decision
    assert decision.extra == {"reasoning_content": "T"}
    assert decision.parts == [Part(kind="call", extra={"extra_content": {"s": 1}}), Part(kind="call")]


async def test_the_order_of_a_response_is_kept_where_it_is_not_the_usual_one(model: Opened) -> None:
    call = {"type": "function_call", "call_id": "a", "name": "x", "arguments": "{}"}
    said = {"type": "message", "role": "assistant", "status": "completed", "content": "one"}
    usual = [REASONING, said, call, call]
    assert (await replied(model, "responses", whole("responses", output=usual))).decision.parts == []
    output = [REASONING, call, {**said, "content": " "}, REASONING, call, {**said, "phase": "final_answer"}]
    decision = (await replied(model, "responses", whole("responses", output=output))).decision
    assert [part.kind for part in decision.parts] == ["reasoning", "call", "reasoning", "call", "text"]
    assert decision.parts[-1] == Part(kind="text", length=3, extra={"phase": "final_answer"})


async def test_fields_that_are_too_long_together_are_dropped_whole(api: Api, model: Opened) -> None:
    junk = "x" * 300_000
    said = {"type": "message", "role": "assistant", "content": "hi", "junk": junk}
    raw = whole(api, message={"junk": junk}) if api == "chat" else whole(api, output=[said])
    decision = (await replied(model, api, raw)).decision
    assert (decision.text, decision.extra) == ("hi", {})
    assert "xxx" not in decision.model_dump_json()


async def test_parts_that_are_thoughts_are_no_text(model: Opened) -> None:
    parts = [
        {"type": "thinking", "text": "hm"},
        {"type": "reasoning_text", "text": "hm"},
        {"type": "text", "text": "hi"},
    ]
    assert (await replied(model, "chat", whole("chat", message={"content": parts}))).decision.text == "hi"


async def test_thoughts_are_no_text(api: Api, model: Opened) -> None:
    assert (await replied(model, api, Reply("<think>hm</think>\n\nhi"))).decision.text == "hi"
    assert (await replied(model, api, Reply("<think>hm"))).decision.text is None


async def test_a_call_of_the_older_form_is_read(model: Opened) -> None:
    message = {"content": None, "function_call": {"name": "look", "arguments": "{}"}}
    decision = (await replied(model, "chat", whole("chat", message=message))).decision
    assert decision.calls == [ProposedCall(call_id="1-0", tool="look", arguments="{}")]


@pytest.mark.parametrize(
    "choice",
    [
        {"finish_reason": "malformed_function_call"},
        {"finish_reason": "error", "native_finish_reason": "MALFORMED_FUNCTION_CALL"},
    ],
)
async def test_a_reply_that_ended_in_a_bad_call_has_a_problem_and_its_bill(
    model: Opened, choice: dict[str, Any]
) -> None:
    bill = {"prompt_tokens": 70, "completion_tokens": 5}
    reply = await replied(model, "chat", whole("chat", choice=choice, usage=bill))
    assert "your tool call could not be read" in (reply.decision.problem or "")
    assert reply.usage == BilledUsage(input_tokens=70, output_tokens=5)


@pytest.mark.parametrize("beside", [{}, {"error": {"message": "hm"}}, {"error": "hm"}])
async def test_a_part_of_a_text_that_ended_in_an_error_is_no_answer(model: Opened, beside: dict[str, Any]) -> None:
    error = await failed(model, "chat", whole("chat", choice={"finish_reason": "error"}, **beside))
    assert (error.kind, error.retryable, error.billed) == ("lost", True, True)


@pytest.mark.parametrize("error", ["hm", {"message": "hm"}, ["hm"]])
async def test_an_error_without_a_status_beside_nothing_is_lost(model: Opened, error: object) -> None:
    said = await failed(model, "chat", whole("chat", message={"content": None}, error=error))
    assert (said.kind, said.billed, "hm" in str(said)) == ("lost", True, True)


@pytest.mark.parametrize("finish", ["insufficient_system_resource", "abort", "network_error", "bored"])
async def test_a_reply_that_broke_off_is_no_answer(model: Opened, finish: str) -> None:
    error = await failed(model, "chat", whole("chat", choice={"finish_reason": finish}))
    assert (error.kind, error.retryable, error.billed) == ("lost", True, True)
    assert finish in str(error)


@pytest.mark.parametrize("status", ["incomplete", "in_progress", "failed"])
@pytest.mark.parametrize(
    "item",
    [
        {"type": "message", "content": [{"type": "output_text", "text": "The answer is"}]},
        {"type": "function_call", "call_id": "c", "name": "pay", "arguments": "{}"},
    ],
)
async def test_an_item_that_did_not_come_to_its_end_cuts_the_response(
    model: Opened, status: str, item: dict[str, Any]
) -> None:
    good = {"type": "function_call", "call_id": "d", "name": "pay", "arguments": "{}", "status": "completed"}
    turn = whole("responses", output=[good, {**item, "status": status}])
    assert (await replied(model, "responses", turn)).decision.finish == "length"


async def test_details_of_incompleteness_cut_a_response_that_calls_itself_complete(model: Opened) -> None:
    turn = whole("responses", incomplete_details={"reason": "max_output_tokens"})
    assert (await replied(model, "responses", turn)).decision.finish == "length"


@pytest.mark.parametrize("nothing", [None, "hello", 7, []])
async def test_an_item_that_is_none_loses_no_good_one(model: Opened, nothing: object) -> None:
    good = {"type": "function_call", "call_id": "c", "name": "pay", "arguments": "{}"}
    reply = await replied(model, "responses", whole("responses", output=[nothing, good, nothing]))
    assert [call.tool for call in reply.decision.calls] == ["pay"]
    assert reply.decision.finish == "stop"
