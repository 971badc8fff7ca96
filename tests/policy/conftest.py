"""A shop's agent with its tools and rules, and a way to make one call."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backstay.contracts.admission import Effect, ToolSpec
from backstay.contracts.policy import PolicyCall, RunFacts
from backstay.tools.facts import EVERY_TOOLS_FACTS
from policies.bundle.build import AgentPolicy, Bundle, build
from policies.bundle.source import RuleFile

EXAMPLE = Path(__file__).parent / "example"
GROUPS = {"finance": ["ann@shop.example", "bo@shop.example"], "owner": ["olga@shop.example"]}
DECIMAL = {"anyOf": [{"type": "number"}, {"type": "string"}]}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def spec(
    name: str,
    effect: Effect = "once",
    groups: tuple[str, ...] = (),
    parameters: dict[str, Any] | None = None,
    facts: dict[str, str] | None = None,
    exposure: list[str] | None = None,
) -> ToolSpec:
    """Describes a tool as far as rules see it."""
    return ToolSpec(
        name=name,
        description="",
        parameters=parameters or {},
        digest="sha256:tool",
        effect=effect,
        timeout=1,
        groups=list(groups),
        facts=facts or {},
        exposure=exposure or [],
    )


TOOLS = {
    tool.name: tool
    for tool in (
        spec("lookup_order", "read", (), _object(["order_id"], order_id={"type": "string"})),
        spec(
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
        spec(
            "send_email",
            "once",
            ("external",),
            _object(["to", "body"], to={"type": "array", "items": {"type": "string"}}, body={"type": "string"}),
            {"recipient_domains": "Set<String>"},
        ),
        spec("run_sql", "once", (), _object(["query"], query={"type": "string"}), {"only_reads": "Bool"}),
        spec("mcp:files/read-file.v2", "read", (), _object(["path"], path={"type": "string"})),
    )
}

Ask = Callable[..., PolicyCall]
Rules = Callable[..., Bundle]


@pytest.fixture(scope="session")
def shop() -> Bundle:
    """The bundle of the shop's agent."""
    org = [RuleFile(f"org/{path.name}", path.read_text()) for path in sorted((EXAMPLE / "org").glob("*.cedar"))]
    own = RuleFile("policy.cedar", (EXAMPLE / "policy.cedar").read_text())
    return build(AgentPolicy("support", list(TOOLS.values()), own, groups=GROUPS), org)


@pytest.fixture
def ask() -> Ask:
    """Makes a call of a tool that is given by name or as it is; see `call_of`."""

    def make(tool: str | ToolSpec, arguments: dict[str, Any], **more: Any) -> PolicyCall:
        return call_of(TOOLS[tool] if isinstance(tool, str) else tool, arguments, **more)

    return make


def call_of(tool: ToolSpec, arguments: dict[str, Any], **more: Any) -> PolicyCall:
    """Makes a call; `more` are fields of the call, or of its run's facts."""
    run = {"step": 0, "spent_usd": 0, "tool_calls": 0}
    run |= {key: more.pop(key) for key in list(more) if key in RunFacts.model_fields}
    fields: dict[str, Any] = {"agent": "support", "tenant": "acme", "now": 0, "digest": "sha256:call", **more}
    facts = {**{name: [] for name in EVERY_TOOLS_FACTS}, **fields.pop("facts", {})}
    return PolicyCall(tool=tool, arguments=arguments, facts=facts, run=RunFacts.model_validate(run), **fields)


@pytest.fixture
def rules() -> Rules:
    """Builds a bundle of the agent `support` from its rules as text."""

    def make(text: str, *tools: ToolSpec, org: str = "", **more: Any) -> Bundle:
        own = RuleFile("policy.cedar", text) if text else None
        files = [RuleFile("org/rules.cedar", org)] if org else []
        more = {"groups": GROUPS, **more}
        return build(AgentPolicy("support", tools or list(TOOLS.values()), own, **more), files)

    return make
