"""What the README shows works as it stands: its agent runs, its rule is accepted, its commands exist."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from temporalio.client import Client

from backstay.adapters.agent.organisation import load_organisation
from backstay.app.application import agents_of, policy_folders
from backstay.app.rules import gate_of
from backstay.checks.what_if import WhatIf, judged
from backstay.cli import execute
from backstay.settings import Settings
from backstay.testing import Call, Reply
from backstay.testing.runtime import local_runtime

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def snippet(language: str, containing: str) -> str:
    """The one code block of a language that contains a text."""
    found = [text for text in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if containing in text]
    assert len(found) == 1
    return found[0]


def folder(tmp_path: Path, *more: str) -> Path:
    """The README's agent as a folder."""
    clerk = tmp_path / "agents" / "clerk"
    clerk.mkdir(parents=True)
    (clerk / "agent.toml").write_text("\n".join([snippet("toml", "agents/clerk/agent.toml"), *more]))
    (clerk / "tools.py").write_text(snippet("python", "agents/clerk/tools.py"))
    return clerk


async def test_the_agent_of_the_readme_runs(client: Client, tmp_path: Path) -> None:
    clerk = folder(tmp_path)
    script = {"Greet Ann": [Reply(calls=[Call("greet", {"name": "Ann"})]), Reply("greeted")]}
    async with local_runtime(script, agents=clerk.parent, client=client) as runtime:
        result = await runtime.run_to_end({"goal": "Greet Ann", "agent": "clerk"})
        assert "Hello Ann!" in runtime.model.requests[-1].raw.decode()
    assert (result.answer, result.budget.usd, result.budget.steps) == ("greeted", "0.10", 10)


def test_the_rule_of_the_readme_asks_finance_above_100(tmp_path: Path) -> None:
    clerk = folder(tmp_path, '[approval]\ngroups = { finance = ["alice@example.com"] }')
    (clerk / "tools.py").write_text(
        "from decimal import Decimal\nfrom backstay.tools import tool\n\n"
        '@tool(effect="write")\ndef issue_refund(amount: Decimal) -> str:\n    """Refunds."""\n    return ""\n'
    )
    (clerk / "policy.cedar").write_text(snippet("cedar", "refund-above-100"))
    settings = Settings(agents=[clerk.parent])
    agents = agents_of(settings)
    gate = gate_of(agents.values(), load_organisation(policy_folders(settings)))

    def outcome(amount: str) -> str:
        return judged(gate, agents["clerk"], WhatIf("issue_refund", {"amount": amount})).verdict.outcome.value

    assert [outcome("100.00"), outcome("100.01")] == ["allow", "require_approval"]


def test_every_command_and_option_of_the_readme_exists(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
    lines = re.findall(r"bin/backstay ([a-z-]+)([^\n#&]*)", blocks)
    assert len(lines) > 5
    for command, rest in lines:
        assert execute([command, "--help"]) == 0, command
        said = capsys.readouterr().out
        assert all(option in said for option in re.findall(r"--[a-z-]+", rest)), (command, rest)


def test_the_input_of_the_readme_is_json_and_its_settings_are_known() -> None:
    (given,) = re.findall(r"--input '(.*?)'", README)
    assert json.loads(given)["agent"] == "support"
    assert tomllib.loads(snippet("toml", "agents/clerk/agent.toml"))["budget"]["usd"] == "0.10"
    fields = {f"BACKSTAY_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"BACKSTAY_[A-Z_]+", README)) - fields <= set()
