"""What a start may send: everything else is refused by field, without a value of it."""

import json
from typing import Any, cast

import pytest

from backstay.contracts.budget import LimitsInForce, ModelSpent, Spent
from backstay.contracts.problems import Problem, plain_problems
from backstay.contracts.run import AuditSummary, InFlight, RunRequest, RunResult, plain
from backstay.kernel.budget import Amount

CANARY = "q7Zx"
TEXT = "input should be a valid string"
UNICODE = "input should be a valid string, unable to parse raw data as a unicode string"
INTEGER = "input should be a valid integer"
AT_LEAST_0 = "input should be greater than or equal to 0"
AT_MOST = "input should be less than or equal to 1000000000000000"
OBJECT = "expected a JSON object"
MONEY = 'expected US dollars as a decimal string such as "0.50"'
AGENT = "string should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]*$'"


def asked(**fields: Any) -> tuple[dict[str, Any]]:
    return ({"goal": CANARY, **fields},)


WHOLE: dict[str, tuple[tuple[Any, ...], str]] = {
    "no input": ((), "expected exactly one JSON object, got 0 inputs"),
    "two inputs": (({"goal": CANARY}, {"goal": CANARY}), "expected exactly one JSON object, got 2 inputs"),
    "null": ((None,), OBJECT),
    "text": ((CANARY,), OBJECT),
    "a goal as text": (('{"goal": "' + CANARY + '"}',), OBJECT),
    "a list": (([{"goal": CANARY}],), OBJECT),
    "a number": ((7,), OBJECT),
    "true": ((True,), OBJECT),
    "a field whose name is no text": (({"goal": CANARY, f"\ud800{CANARY}": 1},), UNICODE),
}
FIELDS: dict[str, tuple[tuple[Any, ...], str, str]] = {
    "no goal": (({},), "goal", "required"),
    "an empty goal": (({"goal": ""},), "goal", "string should have at least 1 character"),
    "32,001 characters": ((({"goal": CANARY[0] * 32_001}),), "goal", "string should have at most 32000 characters"),
    "a null goal": (({"goal": None},), "goal", TEXT),
    "a goal of a number": (({"goal": 7},), "goal", TEXT),
    "a goal of a list": (({"goal": [CANARY]},), "goal", TEXT),
    "half a character in the goal": (({"goal": f"{CANARY}\ud83d"},), "goal", UNICODE),
    "an unknown field": (asked(gaol=CANARY), "gaol", "unknown field; did you mean `goal`?"),
    "a state to go on from": (asked(carried={"spent": CANARY}), "carried", "unknown field"),
    "a path for an agent": (asked(agent=f"../{CANARY}"), "agent", AGENT),
    "a line break in an agent": (asked(agent=f"{CANARY}\n"), "agent", AGENT),
    "an empty agent": (asked(agent=""), "agent", "string should have at least 1 character"),
    "a null agent": (asked(agent=None), "agent", TEXT),
    "a long agent": (asked(agent=CANARY * 26), "agent", "string should have at most 100 characters"),
    "an empty tenant": (asked(tenant=""), "tenant", "string should have at least 1 character"),
    "a tenant of a number": (asked(tenant=5), "tenant", TEXT),
    "an empty requester": (asked(requested_by=""), "requested_by", "string should have at least 1 character"),
    "a requester of a list": (asked(requested_by=[CANARY]), "requested_by", TEXT),
    "a budget of text": (asked(budget=CANARY), "budget", OBJECT),
    "a budget of a list": (asked(budget=[CANARY]), "budget", OBJECT),
    "an unknown budget": (asked(budget={"euro": CANARY}), "budget.euro", "unknown field"),
    "dollars as a float": (asked(budget={"usd": 0.5}), "budget.usd", MONEY),
    "dollars as an integer": (asked(budget={"usd": 5}), "budget.usd", MONEY),
    "dollars below zero": (asked(budget={"usd": "-0.50"}), "budget.usd", MONEY),
    "dollars that are none": (asked(budget={"usd": f"0.5{CANARY}"}), "budget.usd", MONEY),
    "dollars with an exponent": (asked(budget={"usd": "5e-1"}), "budget.usd", MONEY),
    "dollars too fine": (
        asked(budget={"usd": "0.0000001"}),
        "budget.usd",
        "expected US dollars with at most six decimals",
    ),
    "half a character of dollars": (asked(budget={"usd": "\ud800"}), "budget.usd", MONEY),
    "true steps": (asked(budget={"steps": True}), "budget.steps", INTEGER),
    "a float of steps": (asked(budget={"steps": 5.0}), "budget.steps", INTEGER),
    "steps as text": (asked(budget={"steps": CANARY}), "budget.steps", INTEGER),
    "steps below zero": (asked(budget={"steps": -1}), "budget.steps", AT_LEAST_0),
    "too many tokens": (asked(budget={"tokens": 10**15 + 1}), "budget.tokens", AT_MOST),
    "endless tokens": (asked(budget={"tokens": 10**5_000}), "budget.tokens", AT_MOST),
    "endless seconds": (
        asked(budget={"seconds": 10**9 + 1}),
        "budget.seconds",
        "input should be less than or equal to 1000000000",
    ),
    "not a number of seconds": (asked(budget={"seconds": float("nan")}), "budget.seconds", INTEGER),
    "a tool without a budget": (asked(budget={"tools": {"pay": None}}), "budget.tools.pay", OBJECT),
    "a tool with less than nothing": (
        asked(budget={"tools": {"pay": {"calls": -1}}}),
        "budget.tools.pay.calls",
        AT_LEAST_0,
    ),
    "metadata of a list": (asked(metadata=[CANARY]), "metadata", OBJECT),
    "null metadata": (asked(metadata=None), "metadata", OBJECT),
    "33 keys of metadata": (
        asked(metadata={str(number): CANARY for number in range(33)}),
        "metadata",
        "dictionary should have at most 32 items after validation, not more",
    ),
    "metadata of numbers": (asked(metadata={"n": 5}), "metadata.n", TEXT),
    "nested metadata": (asked(metadata={"n": {"m": CANARY}}), "metadata.n", TEXT),
    "long metadata": (
        asked(metadata={"n": CANARY * 1_001}),
        "metadata.n",
        "string should have at most 4000 characters",
    ),
    "half a character of metadata": (asked(metadata={"n": f"\ud800{CANARY}"}), "metadata.n", UNICODE),
    "half a character in a key": (asked(metadata={"\ud800n": CANARY}), "metadata.???n", UNICODE),
    "a long key": (
        asked(metadata={"k" * 201: CANARY}),
        "metadata." + "k" * 70 + "…",
        "string should have at most 200 characters",
    ),
}


def read_problems(inputs: tuple[Any, ...]) -> list[Problem]:
    problems = RunRequest.read(inputs)
    assert isinstance(problems, list)
    return problems


@pytest.mark.parametrize(("inputs", "problem"), WHOLE.values(), ids=WHOLE.keys())
def test_an_input_that_is_no_request_is_refused_as_a_whole(inputs: tuple[Any, ...], problem: str) -> None:
    assert plain_problems(read_problems(inputs)) == [{"field": "$", "problem": problem}]


@pytest.mark.parametrize(("inputs", "field", "problem"), FIELDS.values(), ids=FIELDS.keys())
def test_a_bad_field_is_named_and_its_value_never_shown(inputs: tuple[Any, ...], field: str, problem: str) -> None:
    shown = plain_problems(read_problems(inputs))
    assert [{**entry, "field": entry["field"].replace("\ufffd", "?")} for entry in shown] == [
        {"field": field, "problem": problem}
    ]
    assert CANARY not in json.dumps(shown)


def test_every_problem_is_listed() -> None:
    problems = read_problems(({"goal": "", "agent": 5, "more": 1, "budget": {"steps": -1, "usd": 0.5}},))
    assert {problem.field for problem in problems} == {"goal", "agent", "more", "budget.steps", "budget.usd"}


def test_thousands_of_problems_are_cut_to_a_size_that_an_error_can_carry() -> None:
    problems = read_problems(asked(**{f"unknown-{number}-" + "x" * 500: CANARY for number in range(5_000)}))
    assert len(problems) == 51
    assert problems[-1] == Problem(field="$", problem="and 4950 more problems")
    assert len(json.dumps(plain_problems(problems))) < 8_000


def test_the_smallest_request_has_defaults_for_all_the_rest() -> None:
    assert RunRequest.read(({"goal": "go"},)) == RunRequest(
        goal="go", agent="default", tenant="default", requested_by=None, budget=None, metadata={}
    )


def test_the_largest_request_is_read_as_it_stands() -> None:
    sent: dict[str, Any] = {
        "goal": "g" * 32_000,
        "agent": "a" * 100,
        "tenant": "t" * 200,
        "requested_by": "r" * 200,
        "budget": {
            "steps": 0,
            "model_calls": 10**15,
            "tool_calls": None,
            "tokens": 1,
            "usd": "0.000001",
            "seconds": 10**9,
            "tools": {"pay": {"calls": 1, "per_minute": None}},
        },
        "metadata": {f"{number:0200d}": "v" * 4_000 for number in range(32)},
    }
    request = RunRequest.read((sent,))
    assert isinstance(request, RunRequest)
    assert plain(request) == sent


def a_result() -> RunResult:
    spent = Spent(
        steps=1,
        model_calls=2,
        tool_calls=3,
        input_tokens=4,
        output_tokens=5,
        usd="0.50",
        usd_unbilled="0.00",
        seconds=6,
        tools={"pay": 3},
    )
    return RunResult(
        run_id="r",
        agent="clerk",
        agent_version="1",
        tenant="t",
        status="stopped",
        stop_reason="killed",
        stop_detail=None,
        answer=None,
        steps=1,
        spent=spent,
        budget=LimitsInForce(usd="0.50"),
        in_flight=[InFlight(call_id="1-0", tool="pay", outcome="unknown")],
        policy_version="sha256:v",
        audit=AuditSummary(records=1, head="sha256:h"),
    )


def test_a_result_tells_models_apart_where_the_run_has_changed_its_model() -> None:
    assert "models" not in plain(a_result())
    nano = ModelSpent.of(Amount(model_calls=1, input_tokens=2, output_tokens=3, usd=40))
    changed = a_result().model_copy(update={"models": {"nano": nano}})
    assert plain(changed)["models"] == {
        "nano": {"model_calls": 1, "input_tokens": 2, "output_tokens": 3, "usd": "0.00004"}
    }
    assert RunResult.model_validate(plain(changed)) == changed


def test_a_result_is_plain_json_without_floats() -> None:
    result = a_result()
    text = json.dumps(plain(result))
    assert json.loads(text, parse_float=pytest.fail) == plain(result)
    assert plain(result)["budget"]["usd"] == plain(result)["spent"]["usd"] == "0.50"


@pytest.mark.parametrize("tenant", ["ac\0me", "ac\nme", "\u202eemca", "ac\u200bme", "\N{GRINNING FACE}" * 200])
def test_a_tenant_that_cannot_be_read_or_kept_is_a_problem_without_its_value(tenant: str) -> None:
    [problem] = cast("list[Problem]", RunRequest.read(({"goal": "go", "tenant": tenant},)))
    assert problem.field == "tenant"
    assert tenant not in problem.problem
