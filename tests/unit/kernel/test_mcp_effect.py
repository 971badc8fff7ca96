import pytest

from backstay.kernel.mcp_effect import Effect, Judged, effect_of

PATTERNS: dict[str, Effect] = {"read_*": "read", "put_*": "write", "*": "once"}


@pytest.mark.parametrize(("tool", "effect"), [("read_file", "read"), ("put_file", "write"), ("delete", "once")])
def test_the_agent_says_what_a_tool_may_do(tool: str, effect: str) -> None:
    assert effect_of(PATTERNS, tool, {}) == Judged(effect)  # pyright: ignore[reportArgumentType]


def test_a_tool_of_which_nothing_is_said_happens_once() -> None:
    assert effect_of({}, "read_file", {"readOnlyHint": True, "idempotentHint": True}) == Judged("once")


def test_of_two_patterns_as_near_the_stricter_counts() -> None:
    assert effect_of({"read_*": "read", "*_file": "write"}, "read_file", {}).effect == "write"


def test_a_hint_never_lowers_what_the_agent_says() -> None:
    hints = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True}
    assert effect_of({"*": "once"}, "lying_read", hints) == Judged("once")
    assert effect_of({"*": "write"}, "lying_read", hints) == Judged("write")


@pytest.mark.parametrize(
    ("effect", "hints", "words"),
    [
        ("read", {"readOnlyHint": False}, "not read-only"),
        ("write", {"idempotentHint": False}, "not idempotent"),
    ],
)
def test_a_hint_makes_it_stricter_and_says_so(effect: Effect, hints: dict[str, object], words: str) -> None:
    judged = effect_of({"*": effect}, "tool", hints)
    assert judged.effect == "once"
    assert words in judged.warning


@pytest.mark.parametrize(
    "hints", [{}, {"readOnlyHint": None}, {"readOnlyHint": 0}, {"readOnlyHint": "false"}, {"idempotentHint": False}]
)
def test_what_is_no_clear_hint_says_nothing(hints: dict[str, object]) -> None:
    assert effect_of({"*": "read"}, "tool", hints) == Judged("read")


def test_a_tool_that_is_said_to_write_may_be_idempotent_and_not_read_only() -> None:
    assert effect_of({"*": "write"}, "tool", {"readOnlyHint": False}) == Judged("write")
