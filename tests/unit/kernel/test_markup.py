"""Calls that a model wrote as text, in every markup that models are known to use."""

import time

import pytest

from backstay.kernel.markup import spells_call
from tests.unit.kernel.spelled_calls import ABILITIES, HONEST, PUBLIC

TOOLS = ["lookup", "pay"]
CALL = '{"name": "lookup", "arguments": {"key": 1}}'
CALLS = [
    "<function=lookup><parameter=key>1</parameter></function>",
    "ok\n<function=lookup>\n<parameter=key>1",
    "<tool_call>" + CALL + "</tool_call>",
    "Let me see.\n<tool_call>\n" + CALL,
    "<tool_call><function=lookup>",
    "[TOOL_CALLS] [" + CALL + "]",
    "[TOOL_CALLS]lookup[ARGS]{}",
    "hm [TOOL_CALLS] [" + CALL + "]",
    "<|python_tag|>" + CALL,
    "<|python_tag|>lookup.call(key=1)",
    "<|tool_calls_section_begin|><|tool_call_begin|>functions.lookup:0<|tool_call_argument_begin|>{}<|tool_call_end|>",
    "I look. <|tool_call_begin|>functions.lookup:0<|tool_call_argument_begin|>{}",
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>lookup\n```json\n{}\n```",
    "x <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>lookup<｜tool▁sep｜>{}",
    '<invoke name="lookup"><parameter name="key">1',
    'fine.\n\ncount\n<invoke name="lookup">\n<parameter',
    '<|channel|>commentary to=functions.lookup <|constrain|>json<|message|>{"key":1}<|call|>',
    'to=functions.lookup {"key": 1}',
    "<start_function_call>call:lookup{key:<escape>1<escape>}<end_function_call>",
    "<|tool_call>call:lookup{key:1}<tool_call|>",
    "```tool_code\nlookup(key=1)\n```",
    "```tool_code\nprint(default_api.lookup(key=1))\n```",
    "tool_code\nprint(default_api.lookup(key=1))",
    'Thought: I need it\nAction: lookup\nAction Input: {"key": 1}',
    "Action: lookup\nAction Input: 1",
    "**Action:** lookup\n**Action Input:** 1",
    "Action: lookup[1]",
    '{"action": "lookup", "arguments": {"key": 1}}',
    '{"action": "lookup", "action_input": {"key": 1}}',
    '{"name": "lookup", "parameters": {"key": 1}}',
    '{"tool": "lookup", "args": {"key": 1}}',
    '{"function": {"name": "lookup", "arguments": "{}"}}',
    '{"tool_calls": [{"function": {"name": "lookup", "arguments": "{}"}}]}',
    '{"lookup": {"key": 1}}',
    "{'name': 'lookup', 'arguments': {'key': 1}}",
    '{"name": "lookup", "arguments": {"key": ',
    "I look it up.\n\n" + CALL,
    "lookup(key=1)",
    "functions.lookup(key=1)",
    "[lookup(key=1), lookup(key=2)]",
    "```python\nlookup(key=1)\n```",
    "`lookup(key=1)`",
    'lookup\n{"key": 1}',
    "<lookup><key>1</key></lookup>",
    "functools[" + CALL + "]",
    "✿FUNCTION✿: lookup\n✿ARGS✿: {}",
    "<tool_use><tool_name>lookup</tool_name>",
    "<use_mcp_tool>\n<server_name>x</server_name>\n<tool_name>lookup</tool_name>",
    "<tool_call>lookup\n<arg_key>key</arg_key>",
    '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "lookup", "parameters": {}}]',
    '{"type":"function","name":"lookup","parameters":{}}',
    '{"recipient_name":"functions.lookup","parameters":{}}',
    '{"tool_uses":[{"recipient_name":"functions.lookup","parameters":{}}]}',
    "<TOOLCALL>[" + CALL + "]</TOOLCALL>",
    "<|tool_call_start|>[lookup(key=1)]<|tool_call_end|>",
    'Tool: lookup\nInput: {"key": 1}',
    '<tool_call>{"arguments": {"key": 1}, "name": "lookup"}',
    "```json\n" + CALL + "\n```",
    "```\n" + CALL + "\n```",
    "```xml\n<tool_call>" + CALL + "</tool_call>\n```",
    'Function call: lookup({"key": 1})',
    "LOOKUP(key=1)",
    '{"tool":"Look-up","args":{}}',
    '<function_calls>\n<invoke name="lookup">',
    "<|python_start|>[lookup(key=1)]<|python_end|>",
    "[lookup(key=1)]<|eot_id|>",
    "lookup(key=1)<|im_end|>",
    "lookup(key=1)<end_of_turn>",
    'lookup[ARGS]{"key": 1}',
    'I look.\nlookup[CALL_ID]abc123def[ARGS]{"key": 1}',
    "lookup\n<arg_key>key</arg_key>\n<arg_value>1</arg_value>",
    'functions.lookup:0{"key": 1}',
    "Let me check.\n[lookup(key=1)]",
    "Call: lookup(key=1)<bot_end>\nThought: x",
    "I will look.\n\n<lookup>\n<key>1</key>\n</lookup>",
    '{name: "lookup", arguments: {key: 1}}',
    "\ufeff" + CALL,
    "print(lookup(key=1))",
    "result = lookup(key=1)",
    "await lookup(key=1)",
    "```python\nresult = lookup(key=1)\nprint(result)\n```",
    "```py\nfor tool_call in [" + CALL + "]:\n  plugin(**tool_call)\n```",
    "<execute>lookup(key=1)</execute>",
    "<code>\nlookup(key=1)\n</code>",
    '{"thoughts": {"text": "x"}, "command": {"name": "lookup", "args": {"key": 1}}}',
    '{"command": "lookup", "args": {"key": 1}}',
    "Action: lookup Action Input: 1",
    '**Tool Call:** `lookup`\n**Arguments:** `{"key": 1}`',
    "&lt;tool_call&gt;" + CALL + "&lt;/tool_call&gt;",
    '<action>lookup</action><input>{"key": 1}</input>',
    "<tool\u200b_call>" + CALL,
]
WORDS = [
    "Pay(able) to the bearer (Alice)",
    "[lookup (web), pay (inbox)]",
    "Set to=lookup in the query",
    "Lookup (see below) was done.",
    "pay (by Monday).",
    "key = pay",
    "`lookup` is a tool.",
    "<p>Use <lookup> as your tag: <lookup>x</lookup></p>",
    "The sum is 5. See [lookup](https://example.com).",
    '{"name": "Lookup", "results": [1, 2]}',
    '{"action": "pay", "amount": 5}',
    "[1, 2] and pay(1)",
    "I would call lookup with 5.",
    "I used the tool lookup to find it.",
    "The lookup returned 5 (five).",
    "Use `lookup(key=1)` to look.",
    "The tool lookup says: done.",
    "Tool: lookup was used",
    "Tools used:\n- lookup\n- pay",
    '{"amount": 5}',
    "[1, 2]",
    "```python\nprint(1)\n```",
    "Here:\n```python\nlookup(key=1)\n```\nthat is all",
    "`<tool_call>` tags call lookup",
    "The function lookup",
    "Action: lookup was done",
    "lookup",
    "Lookup: 5",
    'Your order: {"name": "lookup"}',
    "a < tool b",
    "<b>lookup</b>",
    "Action plan: lookup first, then pay.",
    "I called lookup() and it gave 5.",
    "The result of lookup(1) is 5.",
    "see functions.lookup for details",
    '{"steps": [{"tool": "lookup"}], "answer": 5}',
    "The call is " + CALL + ".",
    "",
    "[]",
    '{"a": {"b": 1}}',
    '{"lookup": 5}',
    '{"a":\n{"lookup": {"b": 1}},\n"c": 2}',
    '{"name": 5, "arguments": {}}',
    '{"name": "other", "arguments": {}}',
    "{'name': 'lookup'}",
    "<tool_call>the lookup</tool_call>",
    "x" + "<tool_call> " * 1_100 + "lookup",
    "[" * 100_000,
    '{"function":' * 20 + CALL + "}" * 20,
    "{[" * 60,
]
ONLY_CALLS = [
    "<|tool_call|>nobody{}",
    "<｜tool▁calls▁begin｜>",
    "[TOOL_CALLS] []",
    "<function=nobody>",
    '<invoke name="nobody">',
    "<start_function_call>call:nobody{}",
    "\n<tool_calls>\n[{}]",
    "<|python_tag|>import os",
]


@pytest.mark.parametrize("text", CALLS)
def test_a_marker_and_the_name_of_a_tool_are_a_call(text: str) -> None:
    assert spells_call(text, TOOLS)


@pytest.mark.parametrize("text", WORDS, ids=lambda text: text[:30])
def test_a_tool_that_is_mentioned_is_no_call(text: str) -> None:
    assert not spells_call(text, TOOLS)


PARAMETERS = {"lookup": ["key"], "balance": [], "pay": ["order", "amount"]}


@pytest.mark.parametrize(
    "text",
    [
        *('{"name": "balance"}', '{"tool": "balance", "type": "function"}', '{"name": "lookup", "key": 1}'),
        *(
            '{"action": "pay", "amount": 5}',
            '```json\n{"name": "lookup", "key": 1}\n```',
            '{"name": "balance"}<|im_end|>',
        ),
    ],
)
def test_an_object_with_nothing_but_arguments_of_the_tool_it_names_is_a_call(text: str) -> None:
    assert spells_call(text, list(PARAMETERS), PARAMETERS)
    assert not spells_call(text, list(PARAMETERS))


@pytest.mark.parametrize(
    "text",
    [
        *(
            '{"name": "lookup"}',
            '{"name": "balance", "amount": 5}',
            '{"name": "Ann", "key": 1}',
            '{"key": 1}',
            "[]",
            "{",
        ),
        '{"name": "lookup", "results": [1]}',
    ],
)
def test_an_object_with_other_fields_is_an_answer(text: str) -> None:
    assert not spells_call(text, list(PARAMETERS), PARAMETERS)


@pytest.mark.parametrize("text", ONLY_CALLS)
def test_what_only_calls_begin_with_is_a_call_of_whatever_tool(text: str) -> None:
    assert spells_call(text, [])
    assert not spells_call(f"Models write {text}", [])


@pytest.mark.parametrize(
    "piece",
    [
        *("```" + " " * 50_000, "`" * 50_000, "```a" * 12_000, "<tool_call>" * 5_000, "\n" * 50_000, "{" * 50_000),
        *("[\n" * 20_000, "<" * 50_000, "a(" * 30_000, "\naction: x" * 5_000, " " * 100_000, "<a " * 30_000),
        *("*" * 50_000, '{"name": "x", "arguments":' * 5_000, "lookup " * 10_000, "[a(b=" * 10_000, "a=" * 25_000),
        *(
            "<a><b>" * 10_000,
            "&lt;" * 20_000,
            "print(" * 10_000,
            "pay('" * 10_000,
            '"{' * 20_000,
            "tool: pay:" * 9_000,
            "a" * 50_000 + "[ARGS]",
            "pay\n" + "`" * 50_000,
            "pay(" + '"' * 50_000 + ")",
            "name:" * 20_000,
            "a" + "[CALL_ID]" * 9_000,
        ),
    ],
    ids=lambda piece: piece[:12].strip() or "blanks",
)
def test_a_long_text_is_read_in_no_time(piece: str) -> None:
    for text in (piece, "x" + piece):
        start = time.process_time()
        spells_call(text, ["pay"])
        assert time.process_time() - start < 3.0  # what grows with the square of the length takes minutes


@pytest.mark.parametrize("text", PUBLIC, ids=lambda text: text[:30])
def test_a_call_in_the_spelling_of_a_public_model_is_seen(text: str) -> None:
    assert spells_call(text, list(ABILITIES), ABILITIES)


@pytest.mark.parametrize("text", HONEST, ids=lambda text: text[:30])
def test_an_answer_that_talks_of_json_or_of_tools_is_no_call(text: str) -> None:
    assert not spells_call(text, list(ABILITIES), ABILITIES)


@pytest.mark.parametrize(
    "text",
    [
        "I will look that up: " + CALL,
        "I will look that up: " + CALL + "\nand then answer.",
        "I will look. <lookup><key>1</key></lookup>",
        "Thought: I look.\nCode:\n```py\nresult = lookup(key=1)\nprint(result)\n```<end_code>",
        "**Code:**\n```python\nx = 1\nprint(lookup(key=x))",
        "Thought: look.\n<code>\nresult = lookup(key=1)\n</code>",
        '{"thoughts": {"text": "x"}, "ability": {"name": "lookup", "args": {"key": 1}}}',
        '{"thought": "a", "next_action": {"tool": "lookup", "arguments": {"key": 1}}}',
        '{"steps": [{"tool": "lookup", "arguments": {"key": 1}}]}',
        'My plan {"plan": {"first": [{"function": "lookup", "params": {"key": 1}}]}}',
        '### Tool call\n\nlookup\n\n```json\n{"key": 1}\n```',
        'I look it up.\n\n**lookup**\n{"key": 1}',
        '[Calling lookup with {"key": 1}]',
        'Invoking the tool `lookup` with arguments: {"key": 1}',
        "I will now look.\n\nlookup(key=1)",
        '["lookup", {"key": 1}]',
    ],
)
def test_a_call_within_words_or_under_any_key_is_a_call(text: str) -> None:
    assert spells_call(text, list(PARAMETERS), PARAMETERS)


@pytest.mark.parametrize(
    "text",
    [
        "Code:\n```py\nprint(1)\n```",
        '["lookup", {"key": 1}, 2]',
        '["other", {"key": 1}]',
        "I call it so: " + CALL + ", and it works.",
        "Calling lookup was right.",
        'See {"steps": [{"tool": "lookup"}]}',
    ],
)
def test_words_and_data_near_a_tool_are_an_answer(text: str) -> None:
    assert not spells_call(text, list(PARAMETERS), PARAMETERS)


@pytest.mark.parametrize("piece", ['{"a": 1} ', "Code:\n```py\n", "<code>\n", "Calling pay ", "pay\n", "[1] x", "{ "])
def test_a_megabyte_is_read_in_less_than_seconds(piece: str) -> None:
    start = time.process_time()
    spells_call(piece * (1_000_000 // len(piece)), ["pay"], {"pay": ["to"]})
    assert time.process_time() - start < 5.0  # what grows with the square of the length takes hours
