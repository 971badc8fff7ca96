"""`[[breakers]]` of org.toml: what it says, what it means where it says nothing, and what it may not say."""

from dataclasses import replace
from pathlib import Path

import pytest

from backstay.adapters.agent.organisation import load_organisation
from backstay.errors import ConfigurationError
from backstay.kernel.breaker import DEFAULT_ON, RUNAWAY_SPEND, Breaker, Count, Share, Spend, Then
from backstay.kernel.scope import ScopeKind

SHARE = """
[[breakers]]
scope = "agent"
on = ["tool_failures", "outcome_unknown"]
share = 0.4
"""


def rules(folder: Path, *texts: str) -> tuple[Breaker, ...]:
    """The rules of one folder for each text, without the one that is on by default."""
    folders: list[Path] = []
    for number, text in enumerate(texts):
        (folder / str(number)).mkdir()
        (folder / str(number) / "org.toml").write_text(text)
        folders.append(folder / str(number))
    return load_organisation(folders).breakers


def breaker(folder: Path, text: str) -> Breaker:
    [usual, found] = rules(folder, f"[[breakers]]\n{text}")
    assert usual == RUNAWAY_SPEND
    return found


def test_only_a_warning_of_runaway_spend_is_on_by_default(tmp_path: Path) -> None:
    assert rules(tmp_path, "") == (RUNAWAY_SPEND,)
    assert (RUNAWAY_SPEND.then, RUNAWAY_SPEND.spend) == (Then.WARN, Spend(3, 5_000_000, None))


def test_a_share_is_of_the_last_twenty_reports_and_holds_for_a_minute(tmp_path: Path) -> None:
    [_, found] = rules(tmp_path, SHARE)
    on = ("outcome_unknown", "tool_failures")
    name = "agent-tool-failures-outcome-unknown"
    assert found == Breaker(name, ScopeKind.AGENT, Then.FREEZE, on, share=Share(400, 20, 5, 60_000, 1_800_000))


def test_a_breaker_needs_its_scope_alone(tmp_path: Path) -> None:
    found = breaker(tmp_path, 'scope = "tool"')
    assert found == Breaker("tool-failures", ScopeKind.TOOL, Then.FREEZE, tuple(sorted(DEFAULT_ON)), share=Share())


def test_every_figure_can_be_written(tmp_path: Path) -> None:
    text = 'name = "pay"\nscope = "tenant"\non = "policy_denied"\nshare = 1\nof_last = 6\nmin_runs = 3\n'
    found = breaker(tmp_path, f'{text}hold = "500ms"\nwithin = "10m"\nthen = "stop"')
    share = Share(1_000, 6, 3, 500, 600_000)
    assert found == Breaker("pay", ScopeKind.TENANT, Then.STOP, ("policy_denied",), share=share)


def test_a_count_has_a_window_and_needs_one_run(tmp_path: Path) -> None:
    found = breaker(tmp_path, 'scope = "model"\non = ["model_unavailable"]\ncount = 5\nwindow = "90s"')
    assert (found.count, found.share) == (Count(5, 90_000, 1), None)
    (tmp_path / "more").mkdir()
    assert breaker(tmp_path / "more", 'scope = "model"\ncount = 5\nmin_runs = 5').count == Count(5, 60_000, 5)


def test_one_alarm_freezes_unless_the_rule_says_something_else(tmp_path: Path) -> None:
    on = ("alarm",)
    [_, first, second] = rules(
        tmp_path,
        '[[breakers]]\nscope = "agent"\non = "alarm"\n'
        '[[breakers]]\nscope = "tool"\non = "alarm"\ncount = 3\nmin_runs = 2\nwindow = "10m"\nthen = "stop"',
    )
    assert first == Breaker("agent-alarm", ScopeKind.AGENT, Then.FREEZE, on, count=Count(1, 60_000, 1))
    assert second == Breaker("tool-alarm", ScopeKind.TOOL, Then.STOP, on, count=Count(3, 600_000, 2))


@pytest.mark.parametrize(
    ("text", "spend", "then"),
    [
        ('on = "usd"', Spend(3), Then.WARN),
        ('on = ["usd"]\nthen = "freeze"', Spend(5), Then.FREEZE),
        ('on = "usd"\ntimes = 4\nfloor = "1"\nlimit = "50"', Spend(4, 1_000_000, 50_000_000), Then.WARN),
    ],
)
def test_spend_is_judged_against_the_usual(text: str, spend: Spend, then: Then, tmp_path: Path) -> None:
    found = breaker(tmp_path, f'scope = "all"\n{text}')
    assert (found.name, found.on, found.spend, found.then) == ("all-usd", (), spend, then)


def test_breakers_of_all_folders_hold_and_a_name_stands_for_the_last_of_it(tmp_path: Path) -> None:
    mine = '[[breakers]]\nname = "mine"\nscope = "agent"\nthen = "{}"\n'
    spend = '[[breakers]]\nname = "runaway-spend"\nscope = "all"\non = "usd"\nlimit = "9"\n'
    found = rules(tmp_path, SHARE + mine.format("stop"), SHARE + mine.format("warn") + spend)
    name = "agent-tool-failures-outcome-unknown"
    assert [rule.name for rule in found] == ["runaway-spend", name, "mine", f"{name}-2"]
    assert (found[0].spend, found[2].then) == (replace(Spend(), limit=9_000_000), Then.WARN)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('scope = "agent"\nshar = 0.4', 3, "did you mean `share`?"),
        ('scope = "agnt"', 2, "`breakers.0.scope`: input should be 'agent', 'tool', 'tenant', 'model' or 'all'"),
        ('on = ["tool_failures"]', 1, "`breakers.0.scope`: required"),
        ('scope = "agent"\non = ["tool_failure"]', 3, "`tool_failure` is no stop reason and no code of a verdict"),
        ('scope = "agent"\non = ["tool_failure"]', 3, "did you mean `tool_failures`?"),
        ('scope = "agent"\non = ["completed"]', 3, "`completed` is no stop reason"),
        ('scope = "agent"\non = ["zzz"]', 3, 'write for example "tool_failures", "usd" or "alarm"'),
        ('scope = "agent"\non = []', 3, "`breakers.0.on`"),
        ('scope = "agent"\nshare = 0', 3, "`breakers.0.share`"),
        ('scope = "agent"\nshare = 40', 3, "`breakers.0.share`"),
        ('scope = "agent"\nshare = "40 %"', 3, "`breakers.0.share`"),
        ('scope = "agent"\nhold = "60"', 3, "`60` is no duration"),
        ('scope = "agent"\nhold = "2d"', 3, "expected a time of at most a day"),
        ('scope = "agent"\nthen = "halt"', 3, "`breakers.0.then`"),
        ('scope = "agent"\nname = "a b"', 3, "`breakers.0.name`"),
        ('scope = "agent"\ncount = 5\nshare = 0.4', 1, "`share` does not go with `count`"),
        ('scope = "agent"\nwindow = "60s"', 1, "`window` is for `count`: a share has `hold`"),
        ('scope = "agent"\nlimit = "5"', 1, '`limit` is for `on = "usd"`'),
        ('scope = "agent"\non = "usd"\nhold = "1s"', 1, "`hold` does not go with `usd`"),
        ('scope = "agent"\non = ["usd", "killed"]', 1, "`usd` stands alone in `on`"),
        ('scope = "agent"\non = ["alarm", "killed"]', 1, "`alarm` stands alone in `on`"),
        ('scope = "agent"\non = "alarm"\nhold = "1s"', 1, "`hold` does not go with `alarm`"),
        ('scope = "agent"\non = "alarm"\nlimit = "5"', 1, '`limit` is for `on = "usd"`'),
        ('scope = "agent"\non = "alarm"\nmin_runs = 2', 1, "`min_runs` is more than `count`"),
        ('scope = "agent"\non = "alarms"', 3, "did you mean `alarm`?"),
        ('scope = "all"\non = "alarm"', 1, 'the scope `all` is for `on = "usd"`'),
        ('scope = "all"', 1, 'the scope `all` is for `on = "usd"`'),
        ('scope = "agent"\nof_last = 4\nmin_runs = 5', 1, "`min_runs` is more than `of_last`"),
        ('scope = "agent"\ncount = 4\nmin_runs = 5', 1, "`min_runs` is more than `count`"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line_and_the_mend(text: str, line: int, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        rules(tmp_path, f"[[breakers]]\n{text}\n")
    assert said in str(refused.value)
    assert refused.value.where == f"{tmp_path / '0' / 'org.toml'}:{line}"


def test_the_line_is_that_of_the_breaker_that_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        rules(tmp_path, f'{SHARE}\n[[breakers]]\nscope = "agent"\nshare = 2\n')
    assert refused.value.where == f"{tmp_path / '0' / 'org.toml'}:9"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[breakers]\nscope = "agent"', "write `[[breakers]]`, with two brackets"),
        ('[[breakers]]\nname = "a"\nscope = "agent"\n' * 2, "two breakers have the name `a`"),
    ],
)
def test_breakers_are_tables_of_their_own_and_have_names_of_their_own(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="`breakers`") as refused:
        rules(tmp_path, text)
    assert said in str(refused.value)
