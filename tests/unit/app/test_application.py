"""The agents that a worker would serve, found by the settings."""

from pathlib import Path

import pytest

from backstay.app import folders
from backstay.app.application import agents_of, application, check_known, policy_folders
from backstay.errors import ConfigurationError
from backstay.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in ("clerk", "scribe"):
        (tmp_path / "agents" / name).mkdir(parents=True)
        (tmp_path / "agents" / name / "agent.toml").write_text('instructions = "x"\n')
    return Settings(agents=[tmp_path / "agents"], openai_base_url="http://127.0.0.1:1/v1", openai_api_key=None)


def test_the_default_agent_is_served_beside_ones_own(settings: Settings) -> None:
    assert sorted(agents_of(settings)) == ["clerk", "default", "scribe"]


def test_only_the_named_agents_are_served(settings: Settings) -> None:
    assert sorted(agents_of(settings, ["scribe"])) == ["scribe"]


def test_an_agent_that_is_not_there_is_named_with_those_that_are(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="there is no agent `nobody`; known are `clerk`, `default`, `scribe`"):
        agents_of(settings, ["clerk", "nobody"])
    with pytest.raises(ConfigurationError, match="did you mean `clerk`? known are".replace("?", r"\?")):
        agents_of(settings, ["clark"])
    check_known([], [])


def test_the_organisation_adds_its_folders_to_the_shipped_one(settings: Settings, tmp_path: Path) -> None:
    own = settings.model_copy(update={"policies": [tmp_path]})
    assert policy_folders(own) == [folders.SHIPPED_POLICIES, tmp_path]


async def test_an_application_is_composed_with_rules_in_force_for_each_agent(settings: Settings) -> None:
    app = application(settings.model_copy(update={"model_price": {"input": "1", "output": "1"}}), ["clerk"])
    assert sorted(app.catalog.agents) == ["clerk"]
    assert app.gate.version("clerk").startswith("sha256:")
    await app.catalog.close()
