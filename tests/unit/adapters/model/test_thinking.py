"""The thoughts of a model stay out of its answer."""

import time

import pytest

from backstay.adapters.model.thinking import without_thoughts


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("done", "done"),
        ("<think>hm</think>done", "done"),
        ("<think>\n\n</think>\n\ndone", "done"),
        ("<thinking>hm</thinking>done", "done"),
        ("<Thought>hm</Thought>done", "done"),
        ("<reasoning>hm</reasoning>done", "done"),
        ("<seed:think>hm</seed:think>done", "done"),
        ("<|think|>hm<|/think|>done", "done"),
        ("[THINK]hm[/THINK]done", "done"),
        ("◁think▷hm◁/think▷done", "done"),
        ("<|START_THINKING|>hm<|END_THINKING|>done", "done"),
        ("<|begin_of_thought|>hm<|end_of_thought|>done", "done"),
        ("one <think>a</think>two <think>b</think>three", "one two three"),
        ("<think>a <think>b</think> c</think>done", "done"),
        ("<think>with ``` and ` in it</think>done", "done"),
        ("hm\n</think>\n\ndone", "done"),
        ("hm</think>done", "done"),
        ("</think>done", "done"),
        ("<think>hm", ""),
        ("so:\n  <think>hm", "so:"),
        ("<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>done<|return|>", "done"),
        ("<|channel|>final<|message|>done", "done"),
        ("<|channel|>analysis<|message|>hm", ""),
        ("<|channel|>analysis to=functions.pay<|message|>{}", ""),
        ("<|channel|>commentary<|message|>I look.<|end|><|channel|>analysis<|message|>hm<|end|>", "I look."),
    ],
)
def test_blocks_of_thought_are_taken_out(text: str, spoken: str) -> None:
    assert without_thoughts(text) == spoken


@pytest.mark.parametrize(
    "text",
    [
        "a < b",
        "Models write `<think>` and `</think>` round their thoughts.",
        "```\n<think>\nhm\n</think>\n```\nis how they look.",
        "the <think> tag",
        "I think so.",
        '<|channel|>commentary to=functions.pay <|constrain|>json<|message|>{"amount": 5}<|call|>',
    ],
)
def test_all_else_stays_as_it_is(text: str) -> None:
    assert without_thoughts(text) == text


@pytest.mark.parametrize("piece", ["<think>", "x <think>", "</think>", "```", "`", "<|channel|>", "<", "[THINK]"])
def test_a_long_text_is_read_in_no_time(piece: str) -> None:
    start = time.process_time()
    without_thoughts("x" + piece * 20_000)
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize(
    "text",
    [
        "<reflection>a</reflection>b",
        "<analysis>a</analysis>b",
        "<scratchpad>a</scratchpad>\n\nb",
        "<inner_monologue>a</inner_monologue>b",
        "<antThinking>a</antThinking>b",
        '<think id="1">a</think>b',
        "<|think_start|>a<|think_end|>b",
        "<unused94>thought\na<unused95>b",
        "<|channel|>analysis<|message|>a<|channel|>final<|message|>b",
        "<|channel|>analysis<|message|>a<|channel|>commentary<|message|>b",
    ],
)
def test_thoughts_in_other_markups_are_taken_out_too(text: str) -> None:
    assert without_thoughts(text) == "b"
