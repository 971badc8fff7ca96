"""Text of models and callers in Markdown: as it is where it is harmless, else as code."""

import pytest

from backstay.kernel.markdown import block, code, inert, link

HARMLESS = [
    "Refund order A17.",
    "issue_refund(order_id='A17', amount=120)",
    "What about 5.50, or 7%?",
    "größe prüfen · 安全",
    'pay({"amount": 5})',
    "a-b + c = d; e: f!",
]
LIVE = [
    *("![x](http://host.example/p.png)", "[x](javascript:alert)", "[x]", "<img src=x>", "<b>", "https://host.example"),
    *("see www.host.example", "see host.example", "a@b.example", "//host.example", "# heading", "- item", "1. item"),
    *("> quote", "*x*", "_x_", "a _x_ b", "**x**", "~~x~~", "a -- b", "&lt;", "\\*", "x | y", "$x$", "", "```"),
]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_marks_nothing_up_stays_as_it_is(text: str) -> None:
    assert inert(text) == text


@pytest.mark.parametrize("text", LIVE)
def test_what_might_be_markdown_is_code(text: str) -> None:
    assert inert(text) == code(text)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("x", "`x`"),
        ("a `b` c", "``a `b` c``"),
        ("`", "`` ` ``"),
        ("``a", "``` ``a ```"),
        ("a```b`", "```` a```b` ````"),
        ("", "` `"),
        ("one\n\n# two", "`one # two`"),
        ("a\u202eb\x1b", r"`a\u202eb\u001b`"),
    ],
)
def test_the_fence_of_code_is_longer_than_any_run_inside(text: str, span: str) -> None:
    assert code(text) == span


def test_no_line_ends_a_block() -> None:
    assert block(["a", "b"]) == ["```text", "a", "b", "```"]
    assert block(["a ``` b", "````"], "json") == ["`````json", "a ``` b", "````", "`````"]
    assert block(["a\x1b"]) == ["```text", r"a\u001b", "```"]
    assert block([]) == ["```text", "```"]


def test_a_link_leads_where_its_parts_say_whatever_they_hold() -> None:
    assert link("boss", "namespaces", "a/b", "workflows", "x y)") == "[boss](/namespaces/a%2Fb/workflows/x%20y%29)"
    assert link("](http://evil)", "w") == "[`](http://evil)`](/w)"
