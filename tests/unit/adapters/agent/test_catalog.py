"""What an agent asks for and cannot have is refused before it is served, with the line that asks for it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backstay.adapters.agent.catalog import Catalog
from backstay.adapters.agent.folder import load_agent
from backstay.adapters.agent.organisation import load_organisation
from backstay.errors import ConfigurationError
from backstay.settings import Settings


@pytest.mark.parametrize(
    ("toml", "org", "words"),
    [
        ('[approval]\nunknown = "nobody"\n', "", "the group `nobody` of `approval.unknown` has no members"),
        ('[approval]\nbudget = "finance:2"\n', "", "`approval.budget` names no group"),
        ('[budget]\non_exhausted = "ask"\n', "", "names nobody to ask; name it as `budget"),
        ("[budget]\nsteps = 9\n", "[budget]\nsteps = 4\n", "may not exceed the ceiling of 4 of the organisation"),
    ],
)
def test_what_an_agent_cannot_have_is_named_with_its_line(
    toml: str, org: str, words: str, tmp_path: Path, agent_folder: Callable[..., Path]
) -> None:
    agent = load_agent(agent_folder(toml=toml) / "clerk")
    (tmp_path / "org.toml").write_text(org)
    with pytest.raises(ConfigurationError) as refused:
        Catalog({"clerk": agent}, Settings.model_validate({"openai_api_key": "none"}), load_organisation([tmp_path]))
    assert refused.value.where == f"{agent.folder / 'agent.toml'}:3"
    assert words in str(refused.value)
