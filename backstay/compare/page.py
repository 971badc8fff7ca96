"""Writes a comparison as one page that needs no network and no script."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from backstay import __version__
from backstay.kernel.money import format_usd
from backstay.kernel.stop import StopReason

from .plots import Bar, bars, cells, curves
from .scenarios import USD_LIMIT, Plot
from .stage import AGENTS, Compared

_HERE = Path(__file__).parent

_IN_WORDS = {
    StopReason.COMPLETED: "It did what it may, was told why the rest is denied, and answered.",
    StopReason.NO_PROGRESS: "The same call came to the same result again: the runtime stopped the run.",
    StopReason.BUDGET_EXHAUSTED: "The next call did not fit the budget: the run was stopped before it was made.",
    StopReason.POLICY_DENIED: "The rules denied its calls again and again: the runtime stopped the run.",
}
"""Says what the ends of governed runs mean."""


def write_page(file: Path, found: Sequence[Compared], model: str) -> None:
    """Writes the page to a file.

    Args:
        file: is replaced where it is there already.
        found: what was compared.
        model: names the model in a few words.
    """
    file.write_text(page(found, model, datetime.now(UTC)), encoding="utf-8")


def page(found: Sequence[Compared], model: str, at: datetime) -> str:
    """Returns the page as HTML."""
    loop, governed = zip(*(one.failures for one in found), strict=True)
    environment = Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("page.html").render(
        found=found,
        words=_IN_WORDS,
        usd=format_usd,
        drawn=[drawn(one) for one in found],
        failed={"loop": sum(map(bool, loop)), "governed": sum(map(bool, governed))},
        model=model,
        at=f"{at:%d %B %Y, %H:%M} UTC",
        version=__version__,
        sources={
            "The loop, whole": (_HERE / "loop.py").read_text(),
            "The governed agent: agent.toml": (AGENTS / "clerk" / "agent.toml").read_text(),
            "Its rules: policy.cedar": (AGENTS / "clerk" / "policy.cedar").read_text(),
        },
    )


def drawn(one: Compared) -> Markup:
    """Draws what shows the difference best."""
    loop, governed, what = one.loop, one.governed, one.scenario.plot
    match what:
        case Plot.MODEL_CALLS:
            return _beside(what, loop.model_calls, governed.model_calls)
        case Plot.MESSAGES:
            return _beside(what, loop.effects, governed.effects)
        case Plot.RISKY:
            return _beside(what, loop.risky_effects, governed.risky_effects)
        case Plot.SPEND:
            return curves(what, loop.bill.so_far, governed.bill.so_far, USD_LIMIT)
        case Plot.RUNS:
            return _runs("loop", "AutoGPT loop", loop.spoiled) + _runs("governed", "Governed runs", governed.spoiled)


def _beside(title: str, loop: int, governed: int) -> Markup:
    return bars(title, [Bar("loop", "AutoGPT loop", loop), Bar("governed", "Governed run", governed)])


def _runs(side: str, title: str, spoiled: Sequence[bool]) -> Markup:
    return Markup('<p class="of {}">{}</p>').format(side, title) + cells(f"{title}, {Plot.RUNS}", spoiled)
