"""Measures one verdict of the gate; run `python benchmarks/gate.py` from the root of the checkout."""

import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from backstay.contracts.admission import ToolSpec
from backstay.contracts.policy import PolicyCall, RunFacts
from backstay.tools.facts import NAMED_BY_USER, NAMED_WEAKLY
from policies.bundle.build import AgentPolicy, build
from policies.bundle.source import RuleFile
from policies.gate import Gate

RULES = 20
CALLS = 3_000
REFUND = ToolSpec(
    name="issue_refund",
    description="Refunds an order.",
    digest="sha256:refund",
    effect="write",
    timeout=30,
    groups=["payments"],
    parameters={
        "type": "object",
        "properties": {
            "order_id": {"type": "string"},
            "amount": {"anyOf": [{"type": "number"}, {"type": "string"}]},
            "reason": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "lines": {"type": "array", "items": {"type": "string"}},
            "place": {"type": "number"},
        },
        "required": ["order_id", "amount"],
    },
    facts={"account_country": "String"},
)
ARGUMENTS = {"order_id": "A17", "reason": "arrived broken", "lines": ["1", "2"]}


def _rules(count: int) -> str:
    """Writes forbids over arguments, facts and the run; every fourth allows an approval, the first by finance."""
    texts = ['@id("large") @approval("finance") forbid(principal, action == Action::"issue_refund", resource) ']
    texts[0] += 'when { context.input.amount.greaterThan(decimal("100.0")) };'
    conditions = (
        'context.input.amount.greaterThan(decimal("{n}000.0"))',
        'context.input has reason && context.input.reason like "*{n}!*"',
        "context.run.tool_calls_60s > {n}00",
        'context.facts.account_country == "X{n}"',
    )
    for number in range(1, count):
        condition = conditions[number % 4].format(n=number)
        mark = '@approval("owner") ' if number % 4 == 2 else ""
        scope = 'action in Action::"group:payments"' if number % 2 else "action"
        texts.append(f'@id("r{number:02}") {mark}forbid(principal, {scope}, resource) when {{ {condition} }};')
    return "\n".join(texts)


def _median(gate: Gate, call: PolicyCall, outcome: str) -> float:
    assert gate.judge(call).outcome == outcome
    taken: list[float] = []
    for _ in range(CALLS):
        began = time.perf_counter()
        gate.judge(call)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1e6


def main() -> None:
    """Prints a table of cases with the median time of one verdict in microseconds."""
    groups = {"finance": ["ann"], "owner": ["olga"]}
    own = RuleFile("policy.cedar", _rules(RULES - 1))
    policy = AgentPolicy("support", [REFUND], own, groups=groups)
    began = time.perf_counter()
    bundle = build(policy)
    built = (time.perf_counter() - began) * 1e3
    gate = Gate()
    gate.put(bundle, groups)
    run = RunFacts(step=3, spent_usd=120_000, tool_calls=4, taint=["untrusted"])
    facts = {"account_country": "DE", NAMED_BY_USER: list[str](), NAMED_WEAKLY: list[str]()}
    cases = {
        "allow": (ARGUMENTS | {"amount": 50}, "allow"),
        "allow, a value left out": (ARGUMENTS | {"amount": 50, "place": 52.520008}, "allow"),
        "require_approval": (ARGUMENTS | {"amount": 150}, "require_approval"),
        "deny": (ARGUMENTS | {"amount": 99_000}, "deny"),
    }
    print(f"{len(bundle.enforced.rules)} rules, built in {built:.0f} ms; {CALLS} decisions each\n")
    print(f"{'case':<26}{'median µs':>10}")
    for name, (arguments, outcome) in cases.items():
        call = PolicyCall("support", "acme", REFUND, arguments, facts, run, now=1_760_000_000, digest="sha256:call")
        print(f"{name:<26}{_median(gate, call, outcome):>10.0f}")


if __name__ == "__main__":
    main()
