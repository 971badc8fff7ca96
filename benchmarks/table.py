"""Writes the figures as a table or as JSON."""

import os
import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from .measure import BACKSTAY, CONTENDERS, THE_FLOOR, Report

_ROWS = (
    ("steps_per_s", "steps/s, all runs at once", 1),
    ("worker_cpu_s_per_1000_steps", "worker CPU s per 1,000 steps", 1),
    ("ms_per_step_alone", "ms per step, one run alone", 1),
    ("events_per_step", "history events per step", 1),
    ("history_bytes_per_step", "history bytes per step", 0),
    ("worker_rss_mb", "worker memory, MB", 0),
)


def as_json(report: Report) -> dict[str, Any]:
    """Returns the plan, the machine, the medians and every round."""
    return {
        "plan": asdict(report.plan),
        "machine": machine(),
        "share_of_floor": report.share_of_floor(),
        "medians": {name: asdict(report.median(name)) for name in CONTENDERS},
        "rounds": {name: [asdict(figures) for figures in report.rounds[name]] for name in CONTENDERS},
    }


def as_table(report: Report) -> str:
    """Writes a Markdown table with a row per figure and a column per contender."""
    plan = report.plan
    medians = {name: asdict(report.median(name)) for name in CONTENDERS}
    lines = [
        f"medians of {plan.rounds}, {plan.runs} runs at once, {plan.steps} steps each",
        "",
        "| | backstay | floor | ratio |",
        "|---|--:|--:|--:|",
    ]
    for key, label, digits in _ROWS:
        ours, floors = medians[BACKSTAY][key], medians[THE_FLOOR][key]
        lines.append(f"| {label} | {ours:,.{digits}f} | {floors:,.{digits}f} | {ours / floors:.2f} |")
    lines += ["", f"Share of the floor's throughput, median over the rounds: {report.share_of_floor():.2f}"]
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """Describes the machine and the versions that were measured."""
    return {
        "cpus": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "temporalio": version("temporalio"),
        "openai": version("openai"),
    }
