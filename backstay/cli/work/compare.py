"""`backstay compare`: sets an AutoGPT loop beside a governed run, and shows what became of both."""

import time
from pathlib import Path

from backstay.compare.page import write_page
from backstay.compare.scenarios import SCENARIOS, scripted
from backstay.compare.stage import Compared, Extent, staged
from backstay.errors import ConfigurationError
from backstay.settings import Settings, load_settings

from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.model import has_model, model_in_use, model_line
from ..shell.terminal import Output, clean, say, write, write_json
from ..views.comparison import MEANT, tables


def compare(page: Path | None, seeds: int, calls: int, output: Output) -> int:
    """Runs `backstay compare` and returns its exit code."""
    if page is not None and (page.is_dir() or not page.absolute().parent.is_dir()):
        raise ConfigurationError(f"cannot write `{page}`", mend="name a file in a folder that is there")
    return run_loop(_compare(load_settings(), Extent(seeds, calls), page, output))


async def _compare(settings: Settings, extent: Extent, page: Path | None, output: Output) -> int:
    began = time.monotonic()
    real = has_model(settings)
    found: list[Compared] = []
    async with model_in_use(settings, default=scripted) as settings:
        line = model_line(settings)
        say(f"model     {line}", "" if real else "yellow")
        say("An engine, a worker and a loop start, all on this machine.")
        async with staged(settings, extent) as stage:
            for number, scenario in enumerate(SCENARIOS, 1):
                say(f"\n{number}. {scenario.name}", "bold")
                say(f"          {scenario.about}")
                found.append(await stage.play(scenario))
                _say_what_became(found[-1])
    say("")
    if output is Output.JSON:
        write_json([one.as_json() for one in found])
    else:
        write(*tables(found))
        say("\n".join(MEANT) + "\n", "dim")
    if page is not None:
        write_page(page, found, line if real else "a scripted model, no real one is behind it")
    return _conclude(found, real, page, time.monotonic() - began)


def _say_what_became(one: Compared) -> None:
    for name, side, failure in zip(("loop", "governed"), (one.loop, one.governed), one.failures, strict=True):
        if failure is not None:
            say(f"{name:10}✗ {failure}; {side.ended}", "red")
        else:
            detail = f": {clean(side.ends[0].detail)}" if len(side.ends) == 1 and side.ends[0].detail else ""
            say(f"{name:10}✓ {side.ended}{detail}", "green")


def _conclude(found: list[Compared], real: bool, page: Path | None, seconds: float) -> int:
    """Says what it comes to and returns the exit code; only a scripted model has to show every failure."""
    loop, governed = (
        sum(failure is not None for failure in side) for side in zip(*(one.failures for one in found), strict=True)
    )
    as_meant = real or (loop == len(found) and governed == 0)
    said = f"The loop failed in {loop} of {len(found)} scenarios, the governed run in {governed}. ({seconds:.0f} s)"
    say(said, "green" if as_meant else "bold red")
    say(f"page: {page}" if page else "`--page FILE` writes this as a page with plots, to show to somebody.")
    return ExitCode.COMPLETED if as_meant else ExitCode.FAILED
