"""What people may send to a running run: everything else is refused by field, without a value of it."""

import json
from typing import Any

import pytest

from backstay.contracts.messages import Answer, Approve, Edit, Grant, GrantTerms, Hold, Kill, Say, Vote, read_message
from backstay.contracts.problems import Contract, Problem, plain_problems, summary
from backstay.contracts.proof import sent
from backstay.contracts.status import PageRequest
from backstay.kernel.terms import Terms

NOTHING = "names nothing to add to: write for example `usd`, `steps` or `seconds`"
ABOVE = "adds nothing somewhere: each amount must be above zero"
CANARY = "q7Zx"
SHORT = "string should have at least 1 character"
OBJECT = "expected a JSON object"
MOMENT = "expected RFC 3339 with an offset such as `2026-12-01T18:00:00Z`, or a time such as `8h`"
GRANT = {"by": "ann", "reason": "more", "budget": {"steps": 1}}
VOTE = {"approval_id": "apr_1", "by": "ann"}

BAD: dict[str, tuple[type[Contract], tuple[Any, ...], str, str]] = {
    "no payload": (Kill, (), "$", "expected exactly one JSON object, got 0 payloads"),
    "two payloads": (Kill, ({}, {}), "$", "expected exactly one JSON object, got 2 payloads"),
    "null": (Hold, (None,), "$", OBJECT),
    "text": (Hold, (CANARY,), "$", OBJECT),
    "a list": (Vote, ([VOTE],), "$", OBJECT),
    "a kill by nobody": (Kill, ({"reason": CANARY},), "by", "required"),
    "a kill by an empty name": (Kill, ({"by": "", "reason": CANARY},), "by", SHORT),
    "a kill by a number": (Kill, ({"by": 7, "reason": CANARY},), "by", "input should be a valid string"),
    "a kill without a reason": (Kill, ({"by": CANARY},), "reason", "required"),
    "a kill for an empty reason": (Kill, ({"by": CANARY, "reason": ""},), "reason", SHORT),
    "a kill for a novel": (
        Kill,
        ({"by": "ann", "reason": CANARY * 501},),
        "reason",
        "string should have at most 2000 characters",
    ),
    "a grant of nothing": (Grant, ({**GRANT, "budget": {}},), "budget", NOTHING),
    "a grant to no tool": (Grant, ({**GRANT, "budget": {"tools": {"pay": {}}}},), "budget", NOTHING),
    "a grant of zero": (Grant, ({**GRANT, "budget": {"steps": 1, "usd": "0.00"}},), "budget", ABOVE),
    "a grant of no call": (
        Grant,
        ({**GRANT, "budget": {"steps": 1, "tools": {"pay": {"calls": 0}}}},),
        "budget",
        ABOVE,
    ),
    "nothing said": (Say, ({"by": "ann"},), "$", "has neither `text` nor `close`"),
    "no words": (Say, ({"by": "ann", "text": ""},), "text", SHORT),
    "a close of text": (Say, ({"by": "ann", "close": "yes"},), "close", "input should be a valid boolean"),
    "a grant for no reason": (Grant, ({"by": "ann", "budget": {"steps": 1}},), "reason", "required"),
    "an unknown field": (Hold, ({"by": "ann", "until": CANARY},), "until", "unknown field"),
    "a vote on nothing": (Vote, ({"by": "ann"},), "approval_id", "required"),
    "an answer without one": (Answer, (VOTE,), "answer", "required"),
    "an edit without arguments": (Edit, (VOTE,), "args", "required"),
    "an edit of text": (Edit, ({**VOTE, "args": CANARY},), "args", OBJECT),
    "an edit of a list": (Edit, ({**VOTE, "args": [CANARY]},), "args", OBJECT),
    "a page from before the start": (
        PageRequest,
        ({"after": -1},),
        "after",
        "input should be greater than or equal to 0",
    ),
    "a page of nothing": (PageRequest, ({"limit": 0},), "limit", "input should be greater than or equal to 1"),
    "a page of everything": (
        PageRequest,
        ({"limit": 10_001},),
        "limit",
        "input should be less than or equal to 10000",
    ),
}


@pytest.mark.parametrize(("model", "payloads", "field", "problem"), BAD.values(), ids=BAD.keys())
def test_a_message_that_does_not_fit_is_refused_by_field(
    model: type[Contract], payloads: tuple[Any, ...], field: str, problem: str
) -> None:
    problems = read_message(model, payloads)
    assert isinstance(problems, list)
    assert problems == [Problem(field=field, problem=problem)]
    assert CANARY not in json.dumps(plain_problems(problems))


@pytest.mark.parametrize("model", [Kill, Hold, Vote])
@pytest.mark.parametrize("by", ["ann\nbob", "\x00", "ann\x1b[2J", "ann\u2028", "\u200b"])
def test_a_name_that_nobody_could_read_is_refused(model: type[Contract], by: str) -> None:
    given = {"by": by, "reason": "x"} if model is not Vote else {"by": by, "approval_id": "apr_1"}
    problems = read_message(model, (given,))
    assert isinstance(problems, list)
    assert [problem.field for problem in problems] == ["by"]
    assert by not in str(problems)


KILLS: dict[str, tuple[tuple[Any, ...], str, str]] = {
    "a whole one": (({"by": "ann", "reason": "enough"},), "ann", "enough"),
    "nothing": ((), "unknown", "no reason given"),
    "two payloads": (({"by": "ann"}, {"by": "bob"}), "unknown", "no reason given"),
    "null": ((None,), "unknown", "no reason given"),
    "text": (("stop it",), "unknown", "no reason given"),
    "a list": (([{"by": "ann"}],), "unknown", "no reason given"),
    "a name alone": (({"by": "ann"},), "ann", "no reason given"),
    "a reason alone": (({"reason": "enough"},), "unknown", "enough"),
    "an empty reason": (({"by": "ann", "reason": ""},), "ann", "no reason given"),
    "a name of two lines": (({"by": "ann\nbob", "reason": "enough"},), "unknown", "enough"),
    "a name that is a number": (({"by": 7, "reason": "enough"},), "unknown", "enough"),
    "an unknown field": (({"by": "ann", "reason": "enough", "colour": "red"},), "ann", "enough"),
    "a novel": (({"by": "ann", "reason": "x" * 2_001},), "ann", "no reason given"),
}


@pytest.mark.parametrize(("payloads", "by", "reason"), KILLS.values(), ids=KILLS.keys())
def test_a_kill_is_read_whatever_it_holds(payloads: tuple[Any, ...], by: str, reason: str) -> None:
    assert Kill.of(payloads) == Kill(by=by, reason=reason)


GOOD: list[Contract] = [
    Kill(by="ann", reason="enough"),
    Hold(by="ann"),
    Hold(by="ann", reason="lunch"),
    Vote(approval_id="apr_1", by="ann", comment="fine", proof="p"),
    Answer(approval_id="apr_1", by="ann", answer="happened", result={"id": 7}),
    Edit(approval_id="apr_1", by="ann", args={"amount": 5, "to": ["a", None, True, 0.5]}),
    PageRequest(after=5, limit=10_000),
]


@pytest.mark.parametrize("message", GOOD, ids=lambda message: type(message).__name__)
def test_a_message_is_read_as_it_was_sent(message: Contract) -> None:
    assert read_message(type(message), (json.loads(message.model_dump_json()),)) == message


def deep(levels: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


UNSPEAKABLE: dict[str, tuple[dict[str, Any], str]] = {
    "not a number": ({"n": float("nan")}, "expected JSON values, without NaN and infinity"),
    "infinity": ({"n": [{"m": float("-inf")}]}, "expected JSON values, without NaN and infinity"),
    "bytes": ({"n": CANARY.encode()}, "expected JSON values, without NaN and infinity"),
    "too many digits": ({"n": 10**5_000}, "expected JSON values, without NaN and infinity"),
    "bottomless": (deep(100_000), "expected JSON values, without NaN and infinity"),
    "too deep": (deep(65), "the arguments nest deeper than 64 levels"),
    "too long": ({"n": CANARY * 70_000}, "the arguments are longer than 100000 bytes"),
    "a NUL": ({"n": f"{CANARY}\x00"}, "the arguments hold a NUL character or a broken surrogate pair"),
    "half a character": ({f"\ud800{CANARY}": 1}, "the arguments hold a NUL character or a broken surrogate pair"),
}


@pytest.mark.parametrize(("args", "problem"), UNSPEAKABLE.values(), ids=UNSPEAKABLE.keys())
def test_an_edit_is_read_as_strictly_as_what_a_model_writes(args: dict[str, Any], problem: str) -> None:
    assert read_message(Edit, ({**VOTE, "args": args},)) == [Problem(field="args", problem=problem)]


def test_one_line_names_ten_problems_and_counts_the_rest() -> None:
    problems = [Problem(field=f"f{number}", problem="required") for number in range(12)]
    assert summary(problems[:2]) == "`f0`: required; `f1`: required"
    assert summary(problems[:10]).count(";") == 9
    assert summary(problems).endswith("`f9`: required; and 2 more")


def test_a_contract_is_never_changed_after_it_was_read() -> None:
    kill = Kill(by="ann", reason="enough")
    with pytest.raises(ValueError, match="frozen"):
        kill.by = "bob"


@pytest.mark.parametrize(
    ("until", "at_ms"),
    [
        ("8h", 5 + 8 * 3_600_000),
        ("1.5 s", 1_505),
        ("30m", 5 + 30 * 60_000),
        ("2026-01-01T00:00:00Z", 1_767_225_600_000),
        ("2026-01-01T01:00:00+01:00", 1_767_225_600_000),
        (None, None),
    ],
)
def test_a_grant_ends_at_a_moment_or_after_a_time(until: str | None, at_ms: int | None) -> None:
    terms = GrantTerms(uses=2, until=until, exposure={"usd": "1.5"}).terms(5)
    assert terms == Terms(2, at_ms, {"usd": 15_000})


@pytest.mark.parametrize(
    ("grant", "field", "problem"),
    [
        ({}, "grant", "names neither `uses` nor `until`"),
        ({"uses": 0}, "grant.uses", "input should be greater than or equal to 1"),
        ({"uses": "2"}, "grant.uses", "input should be a valid integer"),
        ({"until": "2026-01-01T00:00:00"}, "grant.until", MOMENT),
        ({"until": f"{CANARY}"}, "grant.until", MOMENT),
        ({"until": "99999-01-01T00:00:00Z"}, "grant.until", MOMENT),
        ({"uses": 1, "exposure": {"a b": "1"}}, "grant.exposure.a b", "string should match pattern"),
        ({"uses": 1, "exposure": {"usd": 5}}, "grant.exposure.usd", "expected a decimal string"),
        ({"uses": 1, "exposure": {"usd": "-5"}}, "grant.exposure.usd", "expected a decimal string"),
        ({"uses": 1, "hours": 5}, "grant.hours", "unknown field"),
        (CANARY, "grant", OBJECT),
    ],
)
def test_terms_that_cannot_be_meant_are_refused_by_field(grant: Any, field: str, problem: str) -> None:
    problems = read_message(Approve, ({**VOTE, "grant": grant},))
    assert isinstance(problems, list)
    [found] = problems
    assert (found.field, found.problem.startswith(problem)) == (field, True)
    assert CANARY not in found.problem


def test_an_approval_without_a_grant_is_signed_as_before() -> None:
    assert sent(Approve(approval_id="apr_1", by="ann")) == sent(Vote(approval_id="apr_1", by="ann"))
