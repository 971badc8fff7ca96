"""Times that contradict each other are refused when an agent loads, with the line and the mend."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backstay.adapters.agent.catalog import Catalog
from backstay.adapters.agent.folder import load_agent
from backstay.adapters.agent.organisation import load_organisation
from backstay.errors import ConfigurationError
from backstay.settings import Settings

COUNTED = "[budget]\nseconds_exclude_approvals = false\n"


@pytest.mark.parametrize(
    ("toml", "line", "words"),
    [
        (COUNTED, 3, ("`seconds` (900)", "`approval.expires_after` (24h)", "reminder")),
        (
            COUNTED + 'seconds = 60\n[approval]\nexpires_after = "61s"\n',
            3,
            ("`seconds` (60)", '`expires_after = "60s"`'),
        ),
        ('[approval]\nexpires_after = "8d"\n', 3, ("`approval.wait_at_most` (7d)", "raise `wait_at_most`")),
        ('[approval]\nwait_at_most = "1h"\n', 3, ("`approval.expires_after` (24h)", "lower `expires_after`")),
        ('[approval]\nexpires_after = "2d"\nwait_at_most = "1d"\n', 3, ("(2d)", "(1d)")),
        ('[approval]\nwait_at_most = "99999999d"\n', 3, ("longer than 3650 days",)),
        ('[conversation]\nkeep_open = "8d"\n', 3, ("`conversation.keep_open` (8d)", "lower `keep_open`")),
    ],
)
def test_an_agent_that_promises_more_time_than_there_is_does_not_load(
    toml: str, line: int, words: tuple[str, ...], agent_folder: Callable[..., Path]
) -> None:
    folder = agent_folder(toml=toml) / "clerk"
    with pytest.raises(ConfigurationError) as refused:
        load_agent(folder)
    assert refused.value.where == f"{folder / 'agent.toml'}:{line}"
    assert all(word in str(refused.value) for word in words)
    assert refused.value.mend


@pytest.mark.parametrize(
    "toml",
    [
        "",
        "[budget]\nseconds = 60\n",
        COUNTED + 'seconds = 600\n[approval]\nexpires_after = "10m"\n',
        '[approval]\nexpires_after = "30d"\nwait_at_most = "30d"\n',
    ],
)
def test_times_that_fit_load(toml: str, agent_folder: Callable[..., Path]) -> None:
    assert load_agent(agent_folder(toml=toml) / "clerk").name == "clerk"


def test_the_ceiling_of_the_organisation_counts_too(tmp_path: Path, agent_folder: Callable[..., Path]) -> None:
    agent = load_agent(agent_folder(toml=COUNTED + '[approval]\nexpires_after = "10m"\n') / "clerk")
    (tmp_path / "org.toml").write_text("[budget]\nseconds = 300\n")
    given = Settings.model_validate({"openai_api_key": "none"})
    with pytest.raises(ConfigurationError, match=r"expires_after` \(10m\) is longer than the run.* `seconds` \(300\)"):
        Catalog({"clerk": agent}, given, load_organisation([tmp_path]))
