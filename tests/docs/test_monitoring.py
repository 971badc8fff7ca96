"""The alerts and the dashboard are what Prometheus takes, and each alert fires on what it is for, and on nothing else.

Prometheus's own program checks them; `BACKSTAY_PROMTOOL` names it where it is not on PATH.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "deploy" / "monitoring" / "alerts.yml"
DASHBOARD = json.loads((ROOT / "deploy" / "monitoring" / "dashboard.json").read_text("utf-8"))
RULES: Mapping[str, Mapping[str, Any]] = {
    rule["alert"]: rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]
}
CLERK = 'agent="clerk", instance="w1"'
WELL = {
    'temporal_num_pollers{poller_type="workflow_task"}': "5x1500",
    'temporal_activity_execution_latency_count{activity_type="decide"}': "0+10x1500",
    f"backstay_spent_micro_usd{{{CLERK}}}": "0+100000x1500",
    f"backstay_approvals_opened{{{CLERK}}}": "3x1500",
    f"backstay_approvals_closed{{{CLERK}}}": "3x1500",
}
"""A fleet that is well, minute by minute."""
ILL: Mapping[str, tuple[dict[str, str], str, dict[str, str]]] = {
    "BackstayRunsStuck": (
        {'temporal_workflow_task_execution_failed{workflow_type="AgentRun"}': "_x10 1+1x230"},
        "40m",
        {},
    ),
    "BackstayNoWorker": ({'temporal_num_pollers{poller_type="workflow_task"}': "5x10 0x230"}, "40m", {}),
    "BackstayModelTrouble": (
        {'temporal_activity_execution_failed{activity_type="decide"}': "0+8x240"},
        "40m",
        {},
    ),
    "BackstayApprovalsExpiring": (
        {f"backstay_approvals_expiring{{{CLERK}}}": "_x100 1x140"},
        "110m",
        {"agent": "clerk"},
    ),
    "BackstayApprovalsWait": (
        {f"backstay_approvals_opened{{{CLERK}}}": "3x10 4x1490"},
        "6h",
        {"agent": "clerk"},
    ),
    "BackstayBudgetBurn": (
        {f"backstay_spent_micro_usd{{{CLERK}}}": "0+1000x1380 1380000+500000x120"},
        "24h30m",
        {"agent": "clerk"},
    ),
    "BackstayOutcomeUnknown": (
        {f'backstay_runs_closed{{{CLERK}, stop_reason="outcome_unknown"}}': "_x100 1x140"},
        "110m",
        {"agent": "clerk"},
    ),
    "BackstayControlCopyOld": (
        {'backstay_control_copy_age_seconds{instance="w1"}': "1x10 60x230"},
        "40m",
        {"instance": "w1"},
    ),
    "BackstayBreakerTripped": (
        {'backstay_breaker_trips{breaker="failing", then="freeze", instance="w1"}': "_x100 1x140"},
        "105m",
        {"breaker": "failing", "then": "freeze"},
    ),
    "BackstayKillsSlow": (
        {
            'backstay_kill_latency_seconds_bucket{le="10"}': "_x30 0x60",
            'backstay_kill_latency_seconds_bucket{le="60"}': "_x30 1x60",
            'backstay_kill_latency_seconds_bucket{le="+Inf"}': "_x30 1x60",
        },
        "40m",
        {},
    ),
}
"""What each alert is for: series, when it has to fire, and with which labels."""


def promtool(*words: str | Path) -> str:
    """Runs Prometheus's own check; says what to install where there is none."""
    program = os.environ.get("BACKSTAY_PROMTOOL") or shutil.which("promtool")
    if program is None:
        pytest.skip("no `promtool`: install Debian's package `prometheus`, or name it in BACKSTAY_PROMTOOL")
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def said(text: str, labels: Mapping[str, str]) -> str:
    """An annotation with its labels filled in."""
    return re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda match: labels[match[1]], text)


def check(folder: Path, series: Mapping[str, str], at: str, fires: Mapping[str, Mapping[str, str]]) -> None:
    """Checks that of all alerts those of `fires`, with their labels, and no others fire at a time."""
    expected = [
        {
            "eval_time": at,
            "alertname": name,
            "exp_alerts": [
                {
                    "exp_labels": {**rule["labels"], **fires[name]},
                    "exp_annotations": {key: said(text, fires[name]) for key, text in rule["annotations"].items()},
                }
            ]
            if name in fires
            else [],
        }
        for name, rule in RULES.items()
    ]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": expected,
    }
    file = folder / "test.yml"
    file.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": [test]}))
    promtool("test", "rules", file)


def test_prometheus_takes_the_alerts() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "rules", ALERTS)


def test_prometheus_takes_each_question_of_the_dashboard(tmp_path: Path) -> None:
    asked = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    rules = [{"record": f"asked:{number}", "expr": expression} for number, expression in enumerate(asked)]
    file = tmp_path / "asked.yml"
    file.write_text(json.dumps({"groups": [{"name": "asked", "rules": rules}]}))
    assert f"{len(asked)} rules found" in promtool("check", "rules", file)


def test_each_alert_says_what_it_is_and_what_to_do() -> None:
    assert set(RULES) == set(ILL)
    assert all(set(rule["annotations"]) == {"summary", "do"} for rule in RULES.values())


def test_no_alert_fires_while_all_is_well(tmp_path: Path) -> None:
    check(tmp_path, WELL, "3h", {})


@pytest.mark.parametrize("alert", ILL)
def test_an_alert_fires_on_what_it_is_for(alert: str, tmp_path: Path) -> None:
    series, at, labels = ILL[alert]
    check(tmp_path, {**WELL, **series}, at, {alert: labels})
