"""What a candidate decides otherwise, as people and programs read it."""

from typing import Any

from rich.console import Console

from backstay.checks.against_past import Tried
from backstay.cli.views.policy_replay import as_json, doubts, table
from backstay.kernel.verdict import Code, Outcome, Verdict

ALLOW, DENY, ASK = Outcome.ALLOW, Outcome.DENY, Outcome.REQUIRE_APPROVAL


def verdict(outcome: Outcome, **more: Any) -> Verdict:
    return Verdict(outcome, Code.FORBIDDEN, "d", "v", **more)


OPENED = Tried("run-1", 2, "2-0", "refund", verdict(DENY), verdict(ALLOW, rules=("listed-tools",)))
MOVED = Tried("run-2", 1, "1-0", "pay", verdict(ASK, groups=("finance",)), verdict(ASK, groups=("ops",), rules=("x",)))
LOST = Tried("run-3", 4, "4-1", "pay", verdict(ALLOW), None, "the tool `pay` has changed since then")
SAME = Tried("run-4", 1, "1-0", "pay", verdict(ALLOW), verdict(ALLOW))


def test_programs_read_the_contract() -> None:
    assert as_json([OPENED, MOVED, LOST, SAME], [OPENED, MOVED]) == {
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
    }


def test_people_read_a_line_for_each_change_and_each_reason() -> None:
    console = Console(width=200, record=True)
    console.print(table([OPENED, MOVED]))
    lines = [line.split() for line in console.export_text().splitlines()]
    assert lines[1] == ["run-1", "2", "refund", "deny", "allow", "listed-tools"]
    assert lines[2] == ["run-2", "1", "pay", "require_approval", "(finance)", "require_approval", "(ops)", "x"]
    [doubt] = doubts([OPENED, LOST, LOST])
    assert doubt == "unknown for 2 of the calls, such as run-3 step 4: the tool `pay` has changed since then"
    assert doubts([OPENED, SAME]) == []
