"""Whatever a caller sends: it is read or refused by field, its values are never repeated, and pages lose nothing."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.contracts.budget import BudgetLimits, ToolBudget, narrowed
from backstay.contracts.messages import Answer, Edit, Hold, Kill, Vote, read_message
from backstay.contracts.problems import MAX_PROBLEMS, Contract, Problem, plain_problems, summary
from backstay.contracts.run import RunRequest
from backstay.contracts.status import PAGE_BYTES, PageRequest, page
from backstay.kernel.budget import Limits, ToolLimit

from .strategies import caps

pytestmark = pytest.mark.soak

CANARY = "q7Zx"
SECRETS = st.sampled_from([CANARY, CANARY * 9_000, f"{CANARY}\x00", f"\ud800{CANARY}", f"0.1{CANARY}"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | SECRETS
KEYS = st.sampled_from(
    [*RunRequest.model_fields, *BudgetLimits.model_fields, *Edit.model_fields, *Answer.model_fields, *Kill.model_fields]
)
NAMES = KEYS | st.text(st.characters(exclude_categories=[]), max_size=4)
JUNK: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5), max_leaves=15
)
NEARLY: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"goal": st.just("go") | JUNK},
    optional={
        "agent": st.just("clerk") | JUNK,
        "tenant": JUNK,
        "requested_by": JUNK,
        "metadata": st.dictionaries(NAMES, SECRETS | JUNK, max_size=40) | JUNK,
        "budget": st.dictionaries(NAMES, st.dictionaries(NAMES, JUNK, max_size=3) | JUNK, max_size=9),
        "extra": JUNK,
    },
)


def assert_fit_to_be_shown(problems: list[Problem]) -> None:
    shown = json.dumps(plain_problems(problems))
    assert 1 <= len(problems) <= MAX_PROBLEMS + 1
    assert CANARY not in shown
    assert CANARY not in summary(problems)
    assert len(shown) < 64_000
    assert all(problem.field and problem.problem for problem in problems)
    shown.encode("utf-8")
    summary(problems).encode("utf-8")


@given(st.lists(NEARLY | JUNK, max_size=2) | st.lists(NEARLY, min_size=1, max_size=1))
def test_any_request_is_read_or_refused_without_its_values(inputs: list[Any]) -> None:
    request = RunRequest.read(tuple(inputs))
    if isinstance(request, RunRequest):
        assert RunRequest.read((json.loads(request.model_dump_json()),)) == request
    else:
        assert_fit_to_be_shown(request)


MESSAGES = st.sampled_from([Kill, Hold, Vote, Answer, Edit, PageRequest])
FITTING: dict[str, Any] = {
    "approval_id": "apr_1",
    "by": "ann",
    "answer": "happened",
    "args": {"amount": 5},
    "reason": "enough",
    "comment": "fine",
    "after": 1,
    "limit": 2,
}
ODD = st.dictionaries(st.sampled_from([*FITTING, "extra"]), JUNK, max_size=2)


def test_any_message_is_read_or_refused_without_its_values() -> None:
    met: set[tuple[type[Contract], bool]] = set()

    @settings(max_examples=4 * settings().max_examples)
    @given(MESSAGES, st.lists(JUNK, max_size=2) | ODD)
    def one_message(model: type[Contract], odd: list[Any] | dict[str, Any]) -> None:
        fitting = {name: value for name, value in FITTING.items() if name in model.model_fields}
        message = read_message(model, tuple(odd) if isinstance(odd, list) else ({**fitting, **odd},))
        if isinstance(message, list):
            assert_fit_to_be_shown(message)
        else:
            assert isinstance(message, model)
        met.add((model, isinstance(message, model)))

    one_message()
    assert {model for model, read in met if read} == {Kill, Hold, Vote, Answer, Edit, PageRequest}
    assert {model for model, read in met if not read} == {Kill, Hold, Vote, Answer, Edit, PageRequest}


CAPS = st.none() | st.integers(0, 3)
ASKED_TOOLS = st.dictionaries(st.sampled_from(["a", "b"]), st.builds(ToolBudget, calls=CAPS, per_minute=CAPS))
USD = st.none() | st.sampled_from(["0", "0.000001", "0.000003"])
REQUESTS = st.builds(
    BudgetLimits,
    **dict.fromkeys(["steps", "model_calls", "tool_calls", "tokens", "seconds"], CAPS),
    usd=USD,
    tools=ASKED_TOOLS,
)
CEILING_TOOLS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.builds(ToolLimit, CAPS, CAPS))
CEILINGS = st.builds(Limits, CAPS, CAPS, CAPS, CAPS, CAPS, CAPS, CEILING_TOOLS)


def every_cap(limits: Limits) -> dict[str, int]:
    rates = {f"{tool}/min": limit.per_minute for tool, limit in limits.tools.items()}
    others = {"seconds": limits.seconds, **rates}
    return caps(limits) | {name: cap for name, cap in others.items() if cap is not None}


@given(CEILINGS, REQUESTS)
def test_a_request_narrows_the_ceilings_and_never_widens_them(ceilings: Limits, request: BudgetLimits) -> None:
    upper, asked = every_cap(ceilings), every_cap(request.limits())
    above = {name for name, cap in asked.items() if name in upper and cap > upper[name]}
    limits = narrowed(ceilings, request)
    if isinstance(limits, list):
        assert len(limits) == len(above) > 0
    else:
        assert not above
        assert every_cap(limits) == upper | asked
        assert narrowed(limits, request) == limits
        assert BudgetLimits.of(limits).limits() == limits


SIZES = st.lists(st.sampled_from([1, 10, PAGE_BYTES // 3, PAGE_BYTES // 2, PAGE_BYTES - 1, PAGE_BYTES]), max_size=30)


@given(SIZES, st.integers(1, 7))
def test_a_walk_over_the_pages_meets_every_item_once_and_in_order(sizes: list[int], limit: int) -> None:
    items = [{"n": number} for number in range(1, len(sizes) + 1)]
    met: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        part = page(items, sizes, PageRequest(after=after, limit=limit))
        assert part.first == after + 1
        assert len(part.items) <= limit
        assert sum(sizes[after : after + len(part.items)]) <= PAGE_BYTES
        assert part.next is None or part.next == after + len(part.items) > after
        met += part.items
        after = part.next
    assert met == items
