"""A model sees names that every server takes, and its calls are those of the tools."""

from backstay.adapters.model.dialect import Dialect
from backstay.adapters.model.function_names import named
from backstay.adapters.model.openai_request import render
from backstay.contracts.admission import ModelSpec, ToolSpec
from backstay.contracts.conversation import Decided, ModelReply, ModelRequest, Said
from backstay.contracts.decision import Decision, ProposedCall


def a_tool(name: str, function: str | None = None) -> ToolSpec:
    return ToolSpec(name=name, description="", parameters={}, digest="", effect="read", timeout=1, function=function)


TOOLS = (a_tool("pay"), a_tool("mcp:files/read_file", "mcp__files__read_file"))


def reply(*tools: str) -> ModelReply:
    calls = [ProposedCall(call_id=f"1-{place}", tool=tool, arguments="{}") for place, tool in enumerate(tools)]
    return ModelReply(Decision(calls=calls), None, None)


def test_a_function_is_looked_up_and_any_other_name_stays() -> None:
    found = named(reply("mcp__files__read_file", "pay", "mcp__files__delete", "mcp:files/read_file"), TOOLS)
    assert [call.tool for call in found.decision.calls] == [
        "mcp:files/read_file",
        "pay",
        "mcp__files__delete",
        "mcp:files/read_file",
    ]


def test_a_reply_without_calls_and_one_to_plain_tools_stay_as_they_are() -> None:
    said, paid = ModelReply(Decision(text="hello"), None, None), reply("mcp__files__read_file")
    assert named(said, TOOLS) is said
    assert named(paid, TOOLS[:1]) is paid


def test_a_request_has_the_names_of_functions_throughout() -> None:
    called = reply("mcp:files/read_file", "pay", "mcp:gone/away").decision
    for api in ("responses", "chat"):
        request = ModelRequest(
            model=ModelSpec(name="m", api=api, max_output_tokens=10, give_up_after=1, price=None),
            instructions="",
            tools=TOOLS,
            conversation=(Said("go"), Decided(called)),
            max_output_tokens=10,
            idempotency_key="k",
        )
        text = str(render(request, Dialect()))
        assert "mcp:" not in text
        assert text.count("mcp__files__read_file") == 2
        assert "mcp_gone_away" in text
