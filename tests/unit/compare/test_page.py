"""The page holds everything that it shows: no network, no script."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backstay.compare.measure import CUT_OFF, Bill, End, Side
from backstay.compare.page import page, write_page
from backstay.compare.scenarios import SCENARIOS
from backstay.compare.stage import Compared

AT = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)
LOOP = Side(
    Bill(60_000, (20_000, 60_000)), 60, 40, 2, 3, 1, (End(CUT_OFF, "after 60 model calls"),), (True,), crashes=1
)
GOVERNED = Side(Bill(2_000, (2_000,)), 3, 1, 0, 0, 1, (End("budget_exhausted", "tool:send_email"),), (False,))
FOUND = [Compared(scenario, LOOP, GOVERNED) for scenario in SCENARIOS]


@pytest.fixture
def html() -> str:
    return page(FOUND, "a <model> & co", AT)


def test_it_loads_nothing_and_runs_nothing(html: str) -> None:
    assert (
        re.findall(r"(?:src|href)=|<script|<link|<img|<iframe|@import|url\(|https?://", html.split("<details>")[0])
        == []
    )


def test_it_shows_what_was_measured_of_each_scenario(html: str) -> None:
    for scenario in SCENARIOS:
        assert scenario.name.capitalize() in html
        assert scenario.about in html
    assert html.count("<svg ") == len(SCENARIOS) + 1
    assert "5 of 5</strong>" in html
    assert "0 of 5</strong>" in html
    assert "How it ended: ended by the harness after 60 model calls." in html
    assert "budget_exhausted (tool:send_email)" in " ".join(html.split())
    assert "29 November 2026, 12:30 UTC" in html


def test_it_shows_the_loop_and_the_agent_whole(html: str) -> None:
    assert "def autogpt(goal: str" in html
    assert "instructions = &#34;&#34;&#34;" in html
    assert "@id(&#34;no-deletion&#34;)" in html


def test_no_text_becomes_markup(html: str) -> None:
    assert "a &lt;model&gt; &amp; co" in html


def test_it_replaces_the_file(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text("old")
    write_page(file, FOUND, "a model")
    assert file.read_text("utf-8").startswith("<!doctype html>")
