"""The card of an approval: the call, who asks, and a command that fits what is shown."""

from typing import Any

import pytest

from backstay.contracts.approval import Approved, PendingApproval, memo_of
from backstay.contracts.card import arguments_of, as_json, background, call_of, command, is_whole, origins_of, text_of
from backstay.contracts.exposure import ShownExposure, ShownSum


def pending(**given: Any) -> PendingApproval:
    known: dict[str, Any] = {
        "run_id": "r1",
        "agent": "support",
        "tenant": "acme",
        "requested_by": "eve@example.com",
        "taint": ["untrusted"],
        "spent_usd": "0.0132",
        "approval_id": "apr_1",
        "kind": "action",
        "tool": "refund",
        "args": {"order": "A17", "amount": 120},
        "digest": "sha256:d",
        "groups": ["finance"],
        "required": 1,
        "answered_by": [],
        "approvers": ["alice", "bob"],
        "rules": ["large"],
        "reasons": ["more than 100"],
        "requested_at": "2026-05-01T12:00:00.000Z",
        "expires_at": "2026-05-01T13:00:00.000Z",
    }
    return PendingApproval(**{**known, **given})


LONG = {"amount": 120, "body": "x" * 5_000}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "backstay approve r1 apr_1"),
        ({"kind": "outcome_unknown"}, "backstay answer r1 happened apr_1"),
        ({"args": LONG}, "backstay approve r1 apr_1 --digest sha256:d"),
        ({"kind": "question"}, "backstay answer r1 'YOUR ANSWER' apr_1"),
        ({"kind": "outcome_unknown", "args": LONG}, "backstay answer r1 happened apr_1 --digest sha256:d"),
    ],
)
def test_the_command_fits_the_kind_and_names_the_digest_of_a_call_shown_in_part(
    given: dict[str, Any], words: str
) -> None:
    assert command("r1", pending(**given)) == words


@pytest.mark.parametrize(
    ("run_id", "word"), [("a; rm -rf ~", "'a; rm -rf ~'"), ("$(x)", "'$(x)'"), ("a\u202eb", r"'a\u202eb'")]
)
def test_ids_are_words_of_a_shell_that_steer_nothing(run_id: str, word: str) -> None:
    assert command(run_id, pending()) == f"backstay approve {word} apr_1"


def test_what_a_memo_cut_is_no_whole_call() -> None:
    many = {f"argument{number}": "x" * 300 for number in range(30)}
    for args in (LONG, many, {"to": "a\u202eb"}):
        (entry,) = memo_of([pending(args=args)])
        read = PendingApproval.model_validate(entry)
        assert not is_whole(read)
        assert "--digest" in command("r1", read)
    (entry,) = memo_of([pending()])
    assert is_whole(PendingApproval.model_validate(entry))


def test_an_argument_that_a_memo_left_out_is_named() -> None:
    [found] = arguments_of(pending(args={}, cut=["args.body", "reasons"]))
    assert (found.line, found.whole) == ("body = (not shown here)", False)


def test_a_call_is_one_line_that_says_what_it_leaves_out() -> None:
    assert call_of(pending(), 100) == 'refund(order="A17", amount=120)'
    assert call_of(pending(kind="outcome_unknown"), 100).startswith("what became of refund(")
    many = call_of(pending(args={f"a{number}": "y" * 50 for number in range(9)}), 100)
    assert many.endswith("… 8 more)")


def test_arguments_are_one_json_object() -> None:
    found = arguments_of(pending(args={"a b": 1, "c": "d"}))
    assert as_json(found) == '{"a b": 1, "c": "d"}'


def test_the_background_says_who_asks_for_whom_and_what_happened_before() -> None:
    before = [Approved(approval_id="apr_0", call="refund(amount=99)", answered_by=["bob"])]
    said = dict(background(pending(approved=7, approved_before=before)))
    assert said == {
        "for": "agent support · tenant acme",
        "asked for by": "eve@example.com (a claim)",
        "taint": "untrusted",
        "spent so far": "0.0132 USD",
        "approved before": "7 · refund(amount=99) by bob",
        "may answer": "alice, bob",
        "rules": "large",
        "digest": "sha256:d",
    }


def test_the_background_says_what_the_call_adds_to_meters() -> None:
    meters = {
        "refunds_usd": ShownExposure(before="495", after="594", limit="500"),
        "vouchers": ShownExposure(before="0", after="1", limit=None, month=ShownSum(before="8", after="9", limit="9")),
    }
    assert dict(background(pending(exposure=meters)))["exposure"] == (
        "refunds_usd: 495 before, 594 with this call, the limit is 500 · vouchers: 0 before, 1 with this call, no limit"
        " · this month: 8 before, 9 with this call, the limit is 9"
    )


def test_an_approval_that_a_limit_asks_for_is_answered_with_a_yes() -> None:
    assert command("r1", pending(kind="exposure")) == "backstay approve r1 apr_1"


def test_a_background_of_which_nothing_is_known_says_so() -> None:
    nothing = {"agent": "", "requested_by": None, "taint": [], "approvers": [], "rules": []}
    said = dict(background(pending(**nothing)))
    assert [said[label] for label in ("for", "asked for by", "taint", "approved before", "may answer", "rules")] == [
        "-", "nobody named", "none", "nothing", "-", "-",
    ]  # fmt: skip


def test_many_people_are_counted() -> None:
    assert "and 5 more" in dict(background(pending(approvers=[f"p{number}" for number in range(25)])))["may answer"]


def test_the_text_of_a_notice_holds_the_card_and_steers_nobody() -> None:
    odd = "a\u202e\x1b[2Jb"
    text = text_of(pending(tool=odd, args={odd: odd}, reasons=[odd], tenant=odd, requested_by=odd, taint=[odd]))
    assert "\u202e" not in text
    assert "\x1b" not in text
    plain = text_of(pending()).splitlines()
    assert plain[:4] == ["call: refund", '  order = "A17"', "  amount = 120", "why: more than 100"]
    assert plain[-2] == "waits for: 1 of finance, until 2026-05-01T13:00:00.000Z"
    assert plain[-1] == "command: backstay approve r1 apr_1"


def test_the_background_says_how_a_yes_may_let_further_calls_through() -> None:
    shown = dict(background(pending(grantable={"uses": 20, "hours": 8})))
    assert shown["may be granted"] == "up to 20 more for 8 h: --grant uses=20 --grant until=8h"
    assert "may be granted" not in dict(background(pending()))


class TestOrigins:
    """Where the values of the call come from, one line for each argument."""

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["trusted", "user"], "named in the request"),
            (["config:staff", "trusted"], "in the register staff; not in the request"),
            (
                ["tool:read.sender", "untrusted"],
                "in a result, read.sender, in a result that is untrusted; not in the request",
            ),
            (["model"], "made up or computed by the model; not in the request"),
            (["person"], "put there by a person; not in the request"),
            (["record", "trusted"], "in a record that the request names; not in the request"),
            (["tool:*", "tool:read.id"], "in further fields of results, in a result, read.id; not in the request"),
            ([], "from several places; not in the request"),
        ],
    )
    def test_the_words_of_rules_are_spelled_out(self, words: list[str], said: str) -> None:
        assert origins_of(pending(sources={"to": words})) == [f"to: {said}"]

    def test_copied_parts_are_quoted_and_steer_nobody(self) -> None:
        approval = pending(sources={"body": ["user"]}, copied={"body": ["all\u202e of it", "b", "c", "d"]})
        assert origins_of(approval) == [r'body: named in the request; copied: "all\u202e of it", "b", "c"']

    def test_fields_with_a_label_are_named_and_steer_nobody(self) -> None:
        approval = pending(sources={"to": ["untrusted"]}, within={"to": ["tool:read.body", "tool:read.a\u202e"]})
        assert origins_of(approval) == [
            r"to: in a result that is untrusted (read.body, read.a\u202e); not in the request"
        ]

    def test_they_stand_on_the_card_and_where_no_rule_reads_them_nothing_does(self) -> None:
        assert "from: to: named in the request" in text_of(pending(sources={"to": ["user"]})).splitlines()
        assert origins_of(pending()) == []

    def test_a_memo_holds_short_ones_and_says_what_it_leaves_out(self) -> None:
        [short] = memo_of([pending(sources={"to": ["user"]})])
        assert (short["sources"], short["cut"]) == ({"to": ["user"]}, [])
        [long] = memo_of([pending(sources={"to": ["user"]}, copied={"body": ["x" * 2_000]})])
        assert (long["sources"], long["copied"], long["cut"]) == ({"to": ["user"]}, {}, ["copied"])


def test_the_approval_of_a_child_names_the_run_above() -> None:
    assert ("child of", "boss") in background(pending(parent="boss"))
    assert "child of" not in dict(background(pending()))
    assert "parent" not in pending().model_dump()
