"""A past call becomes a case that reads back as it was."""

import json
import tomllib
from dataclasses import replace
from typing import Any

import pytest

from backstay.checks.cases import CaseTable
from backstay.checks.past_case import PastCall, case_of, first_judged
from backstay.checks.past_runs import PastRun, Question
from backstay.contracts.conversation import Decided, Item, Observed, Said
from backstay.contracts.decision import Decision, ProposedCall
from backstay.contracts.history import RunRef
from backstay.contracts.policy import AuthorizeInput, RunFacts
from backstay.errors import ConfigurationError
from backstay.kernel.ledger_period import Period
from backstay.kernel.origins import Origins
from backstay.kernel.verdict import Code, Outcome, Verdict

DENIED = Verdict(Outcome.DENY, Code.FORBIDDEN, "sha256:1", "sha256:2", ("cap",))
FACTS = RunFacts(
    step=3,
    spent_usd=13_200,
    tool_calls=4,
    tool_calls_60s={"pay": 2},
    taint=["untrusted"],
    exposure={"paid": 1_500_000},
)


def past(args: dict[str, Any] | str, verdict: Verdict = DENIED, items: list[Item] | None = None) -> PastCall:
    text = args if isinstance(args, str) else json.dumps(args)
    call = ProposedCall(call_id="3-0", tool="pay", arguments=text)
    given = AuthorizeInput(
        run_id="run-1",
        run_key="key",
        agent="clerk",
        tenant="acme",
        requested_by="ann",
        goal='say "hello" to Zoë\n\x1b[2J\u202e',
        facts=FACTS,
        now=1_000,
        calls=[call],
        tools={},
        counted={"3-0": {"paid": {Period.DAY: 4_950_000}}},
    )
    return PastCall(given, call, verdict, items or [])


def read(text: str) -> CaseTable:
    [table] = tomllib.loads(text)["case"]
    return CaseTable.model_validate(table)


def test_all_that_rules_could_know_reads_back() -> None:
    args = {
        "to": 'a "b" \\ c\n\t\x7fé🙂',
        "amount": 12.5,
        "count": -3,
        "big": 2**60,
        "yes": True,
        "no": False,
        "list": [1, "two", {"three": [4.0]}],
        "odd key": {"": {}},
        "empty": [],
    }
    case = read(case_of(past(args)))
    assert (case.tool, case.args, case.expect) == ("pay", args, "deny")
    assert case.goal == 'say "hello" to Zoë\n\x1b[2J\u202e'
    assert (case.tenant, case.requested_by, case.taint, case.step) == ("acme", "ann", ["untrusted"], 3)
    assert (case.spent_usd, case.tool_calls, case.tool_calls_60s, case.now) == ("0.0132", 4, 2, 1_000)
    what_if = case.what_if()
    assert what_if.exposure == {"paid": 1_500_000}
    assert what_if.counted == {"paid": {Period.DAY: 4_950_000}}


ODD = ['a "quoted" run', "a\n[[case]]\nname = 'b'", "back\\slash", "'''", "\u2028\u202e\x00é🙂", "a = 1 # no"]


@pytest.mark.parametrize("run_id", ODD)
def test_a_name_that_toml_must_quote_reads_back(run_id: str) -> None:
    one = past({})
    text = case_of(replace(one, given=one.given.model_copy(update={"run_id": run_id})))
    assert read(text).name == f"{run_id} step 3: 3-0"


def test_its_text_cannot_steer_a_terminal() -> None:
    text = case_of(past({"to": "\x1b[2J\x9b\u202e"}))
    assert "\x1b" not in text
    assert "\x9b" not in text
    assert "\u202e" not in text


def test_a_question_keeps_its_groups() -> None:
    asked = Verdict(Outcome.REQUIRE_APPROVAL, Code.NEEDS_APPROVAL, "d", "v", ("large",), groups=("finance:2",))
    case = read(case_of(past({}, asked)))
    assert (case.expect, case.groups) == ("require_approval", ["finance:2"])


def test_null_is_left_out_and_named() -> None:
    text = case_of(past({"to": "ann", "reason": None}))
    assert "# left out, because TOML has no null: reason" in text
    assert read(text).args == {"to": "ann"}


@pytest.mark.parametrize("args", [{"to": [None]}, "[1]", "{"])
def test_arguments_that_no_case_can_hold_are_refused(args: Any) -> None:
    with pytest.raises(ConfigurationError, match="make no case"):
        case_of(past(args))


def test_results_are_told_where_rules_read_sources() -> None:
    before = ProposedCall(call_id="1-0", tool="read_mail", arguments='{"folder": "in", "page": null}')
    denied = ProposedCall(call_id="1-1", tool="pay", arguments="{}")
    items: list[Item] = [
        Said("goal"),
        Decided(Decision(calls=[before, denied])),
        Observed("1-0", "pay Eve"),
        Observed("1-1", "denied", denied=True),
    ]
    assert read(case_of(past({}, items=items))).results == []
    sourced = Verdict(Outcome.DENY, Code.FORBIDDEN, "d", "v", ("whom",), origins=Origins())
    [result] = read(case_of(past({}, sourced, items))).results
    assert (result.tool, result.args, result.result) == ("read_mail", {"folder": "in"}, "pay Eve")


def test_each_call_of_a_step_is_told_as_it_was_judged_first() -> None:
    one, verdict = past({"to": "ann"}), Verdict(Outcome.ALLOW, Code.PERMITTED, "d", "v")
    run = PastRun(RunRef("run-1", "link"), [Question(one.given, [DENIED]), Question(one.given, [verdict])])
    [found] = first_judged(run, 3)
    assert found.verdict is DENIED
    assert first_judged(run, 2) == []
    assert len(first_judged(run, None)) == 1
