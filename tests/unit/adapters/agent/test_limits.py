"""`[limits]` of org.toml: what runs may spend together."""

from datetime import UTC
from pathlib import Path

import pytest

from backstay.adapters.agent.limits import NO_LIMITS, OrgLimits
from backstay.adapters.agent.organisation import load_organisation
from backstay.contracts.admission import Draws
from backstay.contracts.exposure import ExposureLimits, MeterSpec
from backstay.contracts.ledger import LedgerRef
from backstay.errors import ConfigurationError
from backstay.kernel.ledger_period import Period
from backstay.kernel.ledger_sums import RUNS, Limit

ORG = """
[limits]
time_zone = "Europe/Berlin"
[limits.organisation]
usd = { day = "200", month = "4000" }
draw = "0.10"
[limits.tenants.acme]
tokens = { month = 1_000 }
runs_at_once = 50
[limits.agents.support]
usd = { day = "5" }
draw = "ceiling"
"""


def limits(folder: Path, *texts: str) -> OrgLimits:
    """The limits of one folder for each text."""
    folders: list[Path] = []
    for number, text in enumerate(texts):
        (folder / str(number)).mkdir()
        (folder / str(number) / "org.toml").write_text(text)
        folders.append(folder / str(number))
    return load_organisation(folders).limits


def test_a_run_has_the_limits_of_all_its_levels_by_the_ledger_that_counts_for_them(tmp_path: Path) -> None:
    found = limits(tmp_path, ORG).limits("acme", "support")
    assert found == [
        (
            LedgerRef(tenant="acme"),
            (
                Limit("tenant", "tokens", Period.MONTH, 1_000),
                Limit("agent:support", "usd", Period.DAY, 5_000_000),
            ),
        ),
        (
            LedgerRef(),
            (
                Limit("organisation", "usd", Period.DAY, 200_000_000),
                Limit("organisation", "usd", Period.MONTH, 4_000_000_000),
            ),
        ),
    ]


def test_a_run_without_a_limit_draws_on_nothing(tmp_path: Path) -> None:
    found = limits(tmp_path, '[limits.tenants.acme]\nusd = { day = "0" }\n')
    assert (found.any, found.draws("other", "a"), found.limits("other", "a")) == (True, None, [])
    assert found.limits("acme", "a") == [(LedgerRef(tenant="acme"), (Limit("tenant", "usd", Period.DAY, 0),))]
    assert (NO_LIMITS.any, NO_LIMITS.draws("acme", "a")) == (False, None)


def test_a_run_draws_as_its_innermost_level_says(tmp_path: Path) -> None:
    found = limits(tmp_path, ORG)
    assert found.draws("acme", "support") == Draws()
    assert found.draws("acme", "clerk") == Draws(lump=100_000)


def test_a_run_below_others_draws_on_the_limit_of_its_own_agent_alone(tmp_path: Path) -> None:
    found = limits(tmp_path, ORG)
    assert found.draws("acme", "support", ["clerk"]) == Draws(agent_only=True)
    day = Limit("agent:support", "usd", Period.DAY, 5_000_000)
    assert found.limits("acme", "support", agent_only=True) == [(LedgerRef(tenant="acme"), (day,))]
    assert found.draws("acme", "clerk", ["support"]) is None, "its agent has no limit, and the run above drew the rest"


def test_a_run_below_one_of_its_own_agent_draws_nothing(tmp_path: Path) -> None:
    assert limits(tmp_path, ORG).draws("acme", "support", ["support", "clerk"]) is None


def test_of_several_folders_all_limits_hold_and_the_last_time_zone(tmp_path: Path) -> None:
    more = '[limits]\nwarn_at = 90\n[limits.organisation]\nusd = { day = "100" }\n'
    found = limits(tmp_path, ORG, more)
    days = [one for _, ones in found.limits("x", "x") for one in ones if one.period is Period.DAY]
    assert [(one.most, one.warn_at) for one in days] == [(200_000_000, 90), (100_000_000, 90)]
    assert str(found.zone) == "Europe/Berlin"
    assert NO_LIMITS.zone is UTC


def test_days_begin_where_the_time_zone_says(tmp_path: Path) -> None:
    at_ms = 1_798_758_000_000  # 23:00 UTC on the last day of 2026
    found = limits(tmp_path, ORG)
    assert {span.key for span in found.spans(at_ms) if span.holds(at_ms)} == {"2027-01-01", "2027-01"}
    assert any(span.holds(found.now_ms()) for span in found.spans())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[limits]\ntime_zone = "Mars"\n', "time zone"),
        ('[limits.organisation]\ndraw = "some"\n', '"ceiling"'),
        ('[limits.organisation]\ndraw = "0"\n', '"ceiling"'),
        ("[limits.organisation]\ndraw = 1\n", '"ceiling"'),
        ("[limits.organisation]\nusd = { day = 5 }\n", "US dollars"),
        ('[limits.organisation]\nusd = { week = "5" }\n', "unknown field"),
        ("[limits.tenants.acme]\nruns_at_once = -1\n", "greater than or equal to 0"),
        ("[limits]\nwarn_at = 0\n", "greater than or equal to 1"),
    ],
)
def test_a_limit_that_cannot_be_meant_is_refused_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        limits(tmp_path, text)
    assert "org.toml:" in str(caught.value)


METERS = """
[limits]
warn_at = 70
[limits.organisation]
exposure = { refunds = { month = "90000" }, deleted = { day = true } }
[limits.tenants.acme]
exposure = { refunds = { day = "5000.5" } }
[limits.agents.support]
exposure = { refunds = { day = "1000" } }
"""


def test_meters_have_limits_of_each_level_beside_those_that_a_run_was_admitted_with(tmp_path: Path) -> None:
    found = limits(tmp_path, METERS)
    admitted = {"refunds": MeterSpec(agent=ExposureLimits(day="4000"))}
    name = "exposure:refunds"
    assert found.of_meters("acme", "support", admitted) == [
        (
            LedgerRef(tenant="acme"),
            (
                Limit("tenant", name, Period.DAY, 40_000_000, 70),
                Limit("tenant", name, Period.DAY, 50_005_000, 70),
                Limit("agent:support", name, Period.DAY, 10_000_000, 70),
            ),
        ),
        (LedgerRef(), (Limit("organisation", name, Period.MONTH, 900_000_000, 70),)),
    ]


def test_a_meter_that_is_only_counted_is_asked_of_the_tenants_ledger_alone(tmp_path: Path) -> None:
    assert limits(tmp_path, METERS).of_meters("x", "x", {"deleted": MeterSpec()}) == [(LedgerRef(tenant="x"), ())]


def test_limits_of_meters_make_no_run_draw(tmp_path: Path) -> None:
    found = limits(tmp_path, METERS)
    assert (found.any, found.draws("acme", "support"), found.limits("acme", "support")) == (True, None, [])


def test_a_meter_is_counted_where_any_level_that_holds_says_so(tmp_path: Path) -> None:
    found = limits(tmp_path, METERS)
    assert found.counts("refunds", "acme", "clerk") == {Period.DAY, Period.MONTH}
    assert found.counts("refunds", "other", "clerk") == {Period.MONTH}
    assert found.counts("deleted", "other", "clerk") == {Period.DAY}
    assert found.counts_for_some_tenant("refunds") == {Period.DAY}
    assert sorted(set(found.meters())) == ["deleted", "refunds"]


def test_runs_at_once_are_limited_by_each_level_and_make_no_run_draw(tmp_path: Path) -> None:
    text = "[limits.organisation]\nruns_at_once = 9\n[limits.agents.support]\nruns_at_once = 0\n"
    found = limits(tmp_path, text, "[limits.tenants.acme]\nruns_at_once = 3\n")
    assert found.at_once("acme", "support") == [
        (LedgerRef(tenant="acme"), (Limit("agent:support", RUNS, None, 0), Limit("tenant", RUNS, None, 3))),
        (LedgerRef(), (Limit("organisation", RUNS, None, 9),)),
    ]
    assert found.at_once("other", "clerk") == [(LedgerRef(), (Limit("organisation", RUNS, None, 9),))]
    assert (found.any, found.draws("acme", "support")) == (True, None)


@pytest.mark.parametrize(
    ("text", "field", "keys"),
    [
        ('[limits.tenants.acme]\nusd = "20"\n', "limits.tenants.acme.usd", "`day`, `month`"),
        ('[exposure]\nrefunds_usd = "500"\n', "exposure.refunds_usd", "`run`, `day`, `month`, `on_exceed`"),
    ],
)
def test_an_amount_in_the_place_of_a_table_is_told_the_keys_of_the_table(
    text: str, field: str, keys: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        limits(tmp_path, text)
    assert (refused.value.what, refused.value.where) == (f"`{field}`: expected a table", f"{tmp_path}/0/org.toml:2")
    assert refused.value.mend is not None
    assert keys in refused.value.mend
