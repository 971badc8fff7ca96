"""What a candidate decides otherwise, as people and programs read it."""

from typing import Any

from rich.console import Console

from backstay.checks.against_past import Tried
from backstay.checks.past_runs import Unread
from backstay.cli.views.policy_replay import NAMED, as_json, doubts, table
from backstay.kernel.verdict import Code, Outcome, Verdict

ALLOW, DENY, ASK = Outcome.ALLOW, Outcome.DENY, Outcome.REQUIRE_APPROVAL


def verdict(outcome: Outcome, **more: Any) -> Verdict:
    return Verdict(outcome, Code.FORBIDDEN, "d", "v", **more)


OPENED = Tried("run-1", 2, "2-0", "refund", verdict(DENY), verdict(ALLOW, rules=("listed-tools",)))
MOVED = Tried("run-2", 1, "1-0", "pay", verdict(ASK, groups=("finance",)), verdict(ASK, groups=("ops",), rules=("x",)))
LOST = Tried("run-3", 4, "4-1", "pay", verdict(ALLOW), None, "the tool `pay` has changed since then")
GONE = Tried("run-5", 1, "1-0", "look", verdict(ALLOW), None, "the candidate has no agent `gone`")
UNREAD = [Unread("run-6/e-1/1.manifest.json", "why not")]
SAME = Tried("run-4", 1, "1-0", "pay", verdict(ALLOW), verdict(ALLOW))


def test_programs_read_the_contract() -> None:
    assert as_json([OPENED, MOVED, LOST, SAME], [OPENED, MOVED], UNREAD) == {
        "calls": 4,
        "changed": [
            {
                "run_id": "run-1",
                "step": 2,
                "call_id": "2-0",
                "tool": "refund",
                "was": "deny",
                "now": "allow",
                "rules": ["listed-tools"],
            },
            {
                "run_id": "run-2",
                "step": 1,
                "call_id": "1-0",
                "tool": "pay",
                "was": "require_approval",
                "now": "require_approval",
                "rules": ["x"],
                "groups": {"was": ["finance"], "now": ["ops"]},
            },
        ],
        "deny_to_allow": 1,
        "unknown": 1,
        "why_unknown": [
            {
                "run_id": "run-3",
                "step": 4,
                "call_id": "4-1",
                "tool": "pay",
                "was": "allow",
                "why": "the tool `pay` has changed since then",
            }
        ],
        "unread": [{"name": "run-6/e-1/1.manifest.json", "why": "why not"}],
    }


def test_people_read_a_line_for_each_change_and_each_reason() -> None:
    console = Console(width=200, record=True)
    console.print(table([OPENED, MOVED]))
    lines = [line.split() for line in console.export_text().splitlines()]
    assert lines[1] == ["run-1", "2", "refund", "deny", "allow", "listed-tools"]
    assert lines[2] == ["run-2", "1", "pay", "require_approval", "(finance)", "require_approval", "(ops)", "x"]
    assert doubts([OPENED, LOST, GONE, LOST]) == [
        "unknown: the tool `pay` has changed since then: run-3 step 4 pay, run-3 step 4 pay",
        "unknown: the candidate has no agent `gone`: run-5 step 1 look",
    ]
    assert doubts([OPENED, SAME]) == []
    assert doubts([], UNREAD) == ["not read: why not: run-6/e-1/1.manifest.json"]


def test_of_many_calls_a_few_are_named() -> None:
    [doubt] = doubts([LOST] * (NAMED + 2))
    assert doubt.count("run-3 step 4 pay") == NAMED
    assert doubt.endswith(" and 2 more, which `-o json` lists")
