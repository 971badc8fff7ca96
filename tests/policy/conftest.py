"""A shop's agent with its tools and rules, and a way to ask about one call."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from policies.bundle.build import AgentPolicy, Bundle, build
from policies.bundle.source import RuleFile
from policies.call import GateRequest, RunFacts, ToolRules
from policies.cedar_gate import Gate

EXAMPLE = Path(__file__).parent / "example"
GROUPS = {"finance": ["ann@shop.example", "bo@shop.example"], "owner": ["olga@shop.example"]}
DECIMAL = {"anyOf": [{"type": "number"}, {"type": "string"}]}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


TOOLS = {
    tool.name: tool
    for tool in (
        ToolRules("lookup_order", "read", (), _object(["order_id"], order_id={"type": "string"})),
        ToolRules(
            "issue_refund",
            "write",
            ("payments", "external"),
            _object(
                ["order_id", "amount"],
                order_id={"type": "string"},
                amount=DECIMAL,
                note={"anyOf": [{"type": "string"}, {"type": "null"}]},
                extra={"type": "object", "additionalProperties": True},
            ),
        ),
        ToolRules(
            "send_email",
            "once",
            ("external",),
            _object(["to", "body"], to={"type": "array", "items": {"type": "string"}}, body={"type": "string"}),
            {"recipient_domains": "Set<String>"},
        ),
        ToolRules("run_sql", "once", (), _object(["query"], query={"type": "string"}), {"only_reads": "Bool"}),
        ToolRules("mcp:files/read-file.v2", "read", (), _object(["path"], path={"type": "string"})),
    )
}

Ask = Callable[..., GateRequest]
Rules = Callable[..., Bundle]


@pytest.fixture(scope="session")
def shop() -> Bundle:
    """The bundle of the shop's agent."""
    org = [RuleFile(f"org/{path.name}", path.read_text()) for path in sorted((EXAMPLE / "org").glob("*.cedar"))]
    own = RuleFile("policy.cedar", (EXAMPLE / "policy.cedar").read_text())
    return build(AgentPolicy("support", list(TOOLS.values()), own, groups=GROUPS), org)


@pytest.fixture
def gate(shop: Bundle) -> Gate:
    """A gate with the shop's rules in force."""
    return Gate([shop])


@pytest.fixture
def ask() -> Ask:
    """Makes a request for a call of a tool, given by name or as it is."""

    def make(tool: str | ToolRules, arguments: dict[str, Any], **more: Any) -> GateRequest:
        run = RunFacts(**{key: more.pop(key) for key in list(more) if key in RunFacts.__dataclass_fields__})
        whose = {"run_id": "r-1", "agent": "support", "tenant": "acme", "step": 1, **more}
        return GateRequest(tool=TOOLS[tool] if isinstance(tool, str) else tool, arguments=arguments, run=run, **whose)

    return make


@pytest.fixture
def rules() -> Rules:
    """Builds a bundle of the agent `support` from its rules as text."""

    def make(text: str, *tools: ToolRules, org: str = "", **more: Any) -> Bundle:
        own = RuleFile("policy.cedar", text) if text else None
        files = [RuleFile("org/rules.cedar", org)] if org else []
        more = {"groups": GROUPS, **more}
        return build(AgentPolicy("support", tools or list(TOOLS.values()), own, **more), files)

    return make
