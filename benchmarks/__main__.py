"""Measures and prints a table, or JSON with `-o json`; `--json FILE` also writes the JSON to a file.

`throughput`, where no other word is given, is the main table. `history` tells what a step leaves behind and how long
its replay takes, `long` what a worker does late in a long run, `start` what workers and runs cost before their first
step, `served` whether a worker slows with the runs it has served.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from . import contenders, lone, page, workers
from .contenders import Contender
from .measure import Plan, measure
from .report import Report
from .table import as_json, as_table

GROUPS = ("throughput", "history", "long", "start", "served", "page")
OWN = "backstay,floor,naive,plain"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures as the arguments say, and returns the exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if (given.group == "page") != bool(given.files):
        parser.error("`page` needs files of figures, and nothing else takes any")
    if given.group == "page":
        page.write(given.files)
        return 0
    report = asyncio.run(_measured(given))
    text = json.dumps(as_json(report), indent=2)
    if given.json is not None:
        given.json.write_text(text + "\n")
    print(text if given.output == "json" else as_table(report))
    return 0


async def _measured(given: argparse.Namespace) -> Report:
    default = Plan(1, 5, 5, (1,)) if given.quick else Plan()
    plan = Plan(
        given.rounds or default.rounds, given.runs or default.runs, given.steps or default.steps, default.workers
    )
    who = _who(given)
    match given.group:
        case "history":
            steps = (given.steps,) if given.steps else (5,) if given.quick else (50, 200, 1_000)
            return await lone.history(who, steps, (200,) if given.quick else lone.SIZES)
        case "long":
            return await lone.long(who, given.steps or (30 if given.quick else 3_000))
        case "start":
            return await workers.start(who, plan.rounds, given.runs or (5 if given.quick else 300))
        case "served":
            return await workers.served(who, plan, given.after or (5 if given.quick else 2_000))
        case _:
            return await measure(plan, who)


def _who(given: argparse.Namespace) -> tuple[Contender, ...]:
    if given.contenders is not None:
        return given.contenders
    return contenders.named(OWN) if given.quick else contenders.present()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure the cost of governance: AgentRun beside others."
    )
    parser.add_argument("group", nargs="?", choices=GROUPS, default="throughput", help="what to measure")
    parser.add_argument("files", nargs="*", type=Path, help="of `page`: what `--json` wrote, the main table first")
    parser.add_argument("--rounds", type=_count, help="measurements of each contender (default: 5)")
    parser.add_argument("--runs", type=_count, help="runs at once (default: 50)")
    parser.add_argument("--steps", type=_count, help="steps of each run (default: 20)")
    parser.add_argument(
        "--contenders", type=_named, metavar="NAMES", help="a list with commas (default: all that are installed)"
    )
    parser.add_argument("--after", type=_count, help="runs that a worker has served (default: 2000)")
    parser.add_argument("--quick", action="store_true", help="run one small round, to see that it works")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table", help="print a table or JSON")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the JSON to this file")
    return parser


def _named(text: str) -> tuple[Contender, ...]:
    try:
        return contenders.named(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError("a number from 1 to 10000")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
