"""A candidate is read as a worker would, before anything of the past is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backstay.adapters.agent.folder import load_agent
from backstay.checks.candidate import candidate_of
from backstay.contracts.policy import AuthorizeInput, RunFacts
from backstay.errors import ConfigurationError
from backstay.settings import Settings

TOOLS = '''
from backstay.tools import tool

@tool(effect="read")
def look() -> str:
    """Looks."""
    return ""
'''
RULE = '@id("none") forbid(principal, action, resource);'


def asked(agent: str, version: str) -> AuthorizeInput:
    known: dict[str, Any] = {"run_id": "r", "run_key": "k", "tenant": "default", "requested_by": None, "goal": "g"}
    facts = RunFacts(step=1, spent_usd=0, tool_calls=0)
    return AuthorizeInput(**known, agent=agent, version=version, facts=facts, now=0, calls=[], tools={})


@pytest.fixture
def agents(agent_folder: Callable[..., Path]) -> Path:
    return agent_folder("clerk", "", TOOLS)


def rules(folder: Path, text: str = RULE) -> Path:
    folder.mkdir()
    (folder / "new.cedar").write_text(text)
    return folder


def test_its_rules_stand_in_place_of_those_in_force(agents: Path, tmp_path: Path) -> None:
    old, new = rules(tmp_path / "old"), rules(tmp_path / "new", RULE.replace("none", "other"))
    candidate = candidate_of(Settings(agents=[agents], policies=[old]), [new], [], ["clerk"])
    assert "other" in candidate.gate.bundle("clerk").enforced.rules
    assert "none" not in candidate.gate.bundle("clerk").enforced.rules
    assert candidate.serves("clerk")
    assert candidate.tool("clerk", "look") is not None
    assert (candidate.serves("gone"), candidate.tool("gone", "look"), candidate.digests("gone")) == (False, None, {})
    assert candidate.digests("clerk") == {"look": candidate.agents["clerk"].tools["look"].spec.digest}


def test_tools_are_known_to_be_the_same_where_only_rules_differ(agents: Path, tmp_path: Path) -> None:
    served = load_agent(agents / "clerk").version
    copied = tmp_path / "candidate" / "clerk"
    copied.mkdir(parents=True)
    for name in ("agent.toml", "tools.py"):
        (copied / name).write_bytes((agents / "clerk" / name).read_bytes())
    (copied / "policy.cedar").write_text(RULE)
    candidate = candidate_of(Settings(agents=[agents]), [], [copied.parent], ["clerk"])
    assert candidate.agents["clerk"].version != served
    assert candidate.same_code(asked("clerk", served))
    assert candidate.same_code(asked("clerk", candidate.agents["clerk"].version))
    assert not candidate.same_code(asked("clerk", "sha256:earlier"))
    assert not candidate.same_code(asked("gone", served))
    (copied / "tools.py").write_text(TOOLS + "# another\n")
    assert not candidate_of(Settings(agents=[agents]), [], [copied.parent], ["clerk"]).same_code(asked("clerk", served))


@pytest.mark.parametrize(
    ("place", "text", "says"),
    [
        ("missing", None, "no such folder of policies"),
        ("empty", "", "holds neither `*.cedar` nor `org.toml`"),
        ("broken", "forbid(", "new.cedar"),
    ],
)
def test_a_folder_that_brings_no_rules_is_refused(
    agents: Path, tmp_path: Path, place: str, text: str | None, says: str
) -> None:
    if text is not None:
        (tmp_path / place).mkdir()
    if text:
        (tmp_path / place / "new.cedar").write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        candidate_of(Settings(agents=[agents]), [tmp_path / place], [], ["clerk"])
    assert says in str(raised.value)


def test_agents_beside_the_named_one_are_read_too_because_their_rules_hold_below(
    agents: Path, agent_folder: Callable[..., Path]
) -> None:
    agent_folder("boss", "", TOOLS)
    assert candidate_of(Settings(agents=[agents]), [], [agents], ["clerk"]).serves("boss")


def test_an_agent_that_is_not_there_is_refused(agents: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no agent `clark`"):
        candidate_of(Settings(agents=[agents]), [rules(tmp_path / "new")], [], ["clark"])
    with pytest.raises(ConfigurationError, match="no such folder of agents"):
        candidate_of(Settings(agents=[agents]), [], [tmp_path / "missing"], [])
