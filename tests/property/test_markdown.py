"""Whatever a model or a caller writes: a real parser of Markdown finds nothing in it that is alive."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from backstay.contracts.approval import PendingApproval
from backstay.contracts.budget import LimitsInForce, Spent
from backstay.contracts.decision import ProposedCall
from backstay.contracts.run import RunRequest
from backstay.contracts.status import RunStatusView
from backstay.kernel.budget import Amount
from backstay.kernel.markdown import block, code, inert
from backstay.kernel.verdict import Code, Outcome, Verdict
from workflows.run.page import Latest, details
from workflows.run.words import CallTold, call_words, names_words

pytestmark = pytest.mark.soak

PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
DEAD = {"text", "code_inline", "softbreak", "strong_open", "strong_close", "paragraph_open", "paragraph_close"}
DEAD |= {"inline", "bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close"}
DEAD |= {"fence", "hr"}
NOTHING = Spent.of(Amount(), 0)
LIVE = ["![x](http://h.example/p.png)", "[x](http://h.example)", "<img src=x>", "<b>", "<http://h.example>", "<!--"]
MARKS = ["`", "``", "```", "# ", "- ", "1. ", "> ", "*", "**", "_", "~~", "|", "\\", "&lt;", "---", "===", "[x]: y"]
WORDS = ["word", " ", "    ", "\t", "\n", "\n\n", "\x1b[2J", "\u202e", "\u2028", "a.example", "a@h.example", "5.50"]
PIECES = st.sampled_from([*LIVE, *MARKS, *WORDS, "http://h.example"])
TEXTS = st.lists(PIECES, min_size=1, max_size=8).map("".join) | st.text(min_size=1, max_size=30)
NAMES = TEXTS.filter(lambda name: bool(name.strip()))


def alive(page: str) -> set[str]:
    """The kinds of tokens in a page that are more than text, code, lists and rules of ours."""
    tokens = [inner for token in PARSER.parse(page) for inner in (token, *(token.children or ()))]
    return {token.type for token in tokens} - DEAD


def test_the_parser_sees_what_is_alive() -> None:
    assert alive("![x](http://h.example/p.png) <img src=x> *x* <http://h.example>") == {
        *("image", "html_inline", "em_open", "em_close", "link_open", "link_close")
    }
    assert alive("# x") == {"heading_open", "heading_close"}


@given(TEXTS, st.sampled_from(["", "see ", "**Goal:** ", "- ", "a `b` and "]))
def test_a_foreign_text_is_one_line_of_dead_text(text: str, before: str) -> None:
    for written in (inert(text), code(text)):
        assert "\n" not in written
        assert not alive(before + written)
        assert not alive(f"{before}{written} and {written}.")


@given(TEXTS, TEXTS)
def test_a_foreign_text_stays_in_its_block(one: str, other: str) -> None:
    tokens = PARSER.parse("\n".join(["before", "", *block([one, other]), "", "after"]))
    assert [token.type for token in tokens].count("fence") == 1
    assert tokens[-2].content == "after"


@given(NAMES, NAMES, NAMES, NAMES, NAMES)
def test_the_page_of_a_run_holds_nothing_alive(run: str, goal: str, tool: str, said: str, name: str) -> None:
    asked = PendingApproval(
        approval_id="apr_1",
        kind="action",
        tool=tool,
        args={name: said},
        digest="sha256:d",
        groups=["finance", "a@h.example"],
        required=1,
        answered_by=[said],
        rules=[name],
        reasons=[said, goal],
        requested_at="2026-05-01T12:00:00.000Z",
        expires_at="2026-05-01T13:00:00.000Z",
    )
    lost = asked.model_copy(update={"kind": "outcome_unknown"})
    budget = LimitsInForce.model_validate({"steps": 5, "tools": {name: {"calls": 1}}})
    status = RunStatusView(
        state="running",
        step=1,
        agent_version=None,
        spent=NOTHING,
        held=NOTHING,
        budget=budget,
        pending_approvals=[asked, lost],
        stop_reason=None,
    )
    call = ProposedCall(call_id="1-0", tool=tool, arguments=json.dumps({name: said}))
    verdict = Verdict(Outcome.DENY, Code.FORBIDDEN, "sha256:d", "", rules=(name, said))
    told = CallTold.of(call, verdict).line
    request = RunRequest(goal="-").model_copy(update={"goal": goal, "requested_by": said, "tenant": name})
    latest = Latest((told,), answer=said, detail=name)
    for state, reason in (("running", None), ("closed", "killed")):
        view = status.model_copy(update={"state": state, "stop_reason": reason})
        assert not alive(details(run, request, view, latest))
    for summary in (call_words(call), names_words([name, said]), told):
        assert "\n" not in summary
        assert not alive(summary)
