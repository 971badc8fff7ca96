"""Every setting in force, each with the place it came from."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backstay.adapters.agent.folder import load_agent
from backstay.adapters.agent.organisation import load_organisation
from backstay.checks.settings import Setting, settings_in_force
from backstay.settings import Settings

TOML = """instructions = "x"

[model]
name = "gpt-5-mini"

[budget]
steps = 9
usd = "5.00"
tools = { pay = { calls = 3 } }

[approval]
groups = { finance = ["alice"] }

[exposure.refunds]
run = "5"
"""
ORG = """[budget]
usd = "1.00"

[groups]
security = ["sam"]

[exposure.vouchers]
day = true
"""

TOOLS = """
from backstay.tools import tool

@tool(effect="write")
def pay(amount: int) -> str:
    \"\"\"Pays.\"\"\"
    return "paid"
"""

Found = Callable[..., dict[str, Setting]]


@pytest.fixture
def found(tmp_path: Path) -> Found:
    folder, org = tmp_path / "clerk", tmp_path / "org"
    for place, name, text in ((folder, "agent.toml", TOML), (org, "org.toml", ORG)):
        place.mkdir()
        (place / name).write_text(text)

    (folder / "tools.py").write_text(TOOLS)

    def read(**settings: object) -> dict[str, Setting]:
        given = Settings(**{"openai_base_url": None, "model_price": None, **settings})  # pyright: ignore[reportArgumentType]
        in_force = settings_in_force(load_agent(folder), given, load_organisation([org]), [org])
        return {one.key: one for one in in_force}

    return read


def place(setting: Setting) -> str:
    return "/".join(Path(setting.source).parts[-2:])


def test_what_agent_toml_sets_is_shown_with_its_line(found: Found) -> None:
    known = found()
    assert (known["model.name"].value, place(known["model.name"])) == ("gpt-5-mini", "clerk/agent.toml:4")
    assert (known["budget.steps"].value, place(known["budget.steps"])) == (9, "clerk/agent.toml:7")
    assert place(known["budget.tools.pay"]) == "clerk/agent.toml:9"
    assert place(known["approval.groups.finance"]) == "clerk/agent.toml:12"


def test_the_lower_limit_of_the_organisation_is_the_one_in_force(found: Found) -> None:
    known = found()["budget.usd"]
    assert (known.value, place(known)) == ("1.00", "org/org.toml:2")


def test_a_group_of_the_organisation_comes_from_its_file(found: Found) -> None:
    known = found()["approval.groups.security"]
    assert (known.value, place(known)) == (["sam"], "org/org.toml:5")


def test_what_nobody_set_is_a_default(found: Found) -> None:
    known = found()
    assert known["budget.tool_calls"].source == "default"
    assert known["tools"].source == "default: every @tool of tools.py"
    assert (known["model.api_key_env"].value, known["model.api_key_env"].source) == ("OPENAI_API_KEY", "default")


def test_a_price_comes_from_the_environment_only_where_the_list_has_none(found: Found, tmp_path: Path) -> None:
    rates = {"input": "1", "output": "2"}
    assert found(model_price=rates)["model.price"].source.startswith("genai-prices")
    (tmp_path / "clerk" / "agent.toml").write_text(TOML.replace("gpt-5-mini", "nobody-knows-this"))
    unknown = found(model_price=rates)["model.price"]
    assert unknown.value == {"input": "1.00", "cached_input": "1.00", "output": "2.00"}
    assert unknown.source == "BACKSTAY_MODEL_PRICE"


def test_how_the_model_is_asked_comes_from_its_servers_dialect_unless_the_file_says_more(
    found: Found, tmp_path: Path
) -> None:
    limit = found()["model.parameters.output_limit"]
    assert (limit.value, limit.source) == ("max_completion_tokens", "default: dialect openai")
    assert found(openai_base_url="https://api.mistral.ai/v1")["model.parameters.notes"].value == "joined"
    toml = TOML.replace("[budget]", 'dialect = "groq"\nparameters = { include = true }\n\n[budget]')
    (tmp_path / "clerk" / "agent.toml").write_text(toml)
    known = found()
    assert place(known["model.dialect"]) == "clerk/agent.toml:6"
    assert (known["model.parameters.include"].value, place(known["model.parameters.include"])) == (
        True,
        "clerk/agent.toml:7",
    )
    assert (known["model.parameters.store"].value, known["model.parameters.store"].source) == (
        False,
        "default: dialect groq",
    )


def test_the_limits_of_meters_of_every_file_are_in_force(found: Found) -> None:
    known = found()
    assert (known["exposure.refunds.run"].value, place(known["exposure.refunds.run"])) == ("5", "clerk/agent.toml:15")
    assert (known["exposure.refunds.on_exceed"].value, known["exposure.refunds.on_exceed"].source) == (
        "deny",
        "default",
    )
    assert (known["exposure.vouchers.day"].value, place(known["exposure.vouchers.day"])) == (True, "org/org.toml:8")
