"""`backstay demo`: plays six governed runs on this machine and checks afterwards what really happened."""

import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table
from rich.text import Text

from backstay.adapters.engine.dev_server import NAMESPACE, DevServer, dev_server
from backstay.app.application import application
from backstay.app.folders import SHIPPED_AGENTS
from backstay.app.worker import serving
from backstay.client import BackstayClient, Run
from backstay.contracts.run import RunResult
from backstay.errors import BackstayError
from backstay.settings import Settings, load_settings

from ..shell.exit import ExitCode
from ..shell.links import run_link
from ..shell.loop import run_loop
from ..shell.model import has_model, model_in_use, model_line
from ..shell.program import program
from ..shell.terminal import clean, data, say, write
from ..views.follow import Follower, follow_to_the_end
from ..views.report import STATUS_STYLE
from ..views.transcript import print_line
from .demo_pages import Pages, briefing_scene, research_scene, serving_pages
from .demo_scenes import SCENES, Scene

_LOOK_SECONDS = 0.5


@dataclass(slots=True)
class _Played:
    """Holds a scene after its run; `wrong` lists what did not go as promised."""

    scene: Scene
    run_id: str
    result: RunResult | None = None
    wrong: list[str] = field(default_factory=list[str])


def demo(keep: bool) -> int:
    """Runs `backstay demo` and returns its exit code."""
    return run_loop(_demo(load_settings(), keep))


async def _demo(settings: Settings, keep: bool) -> int:
    began = time.monotonic()
    scripted = not has_model(settings)
    with (
        tempfile.TemporaryDirectory(prefix="backstay-demo-") as home,
        serving_pages(Path(home), SHIPPED_AGENTS) as pages,
    ):
        shop = Path(home, "shop")
        # The tools read these variables when they are called: a shop of our own, and mail that stays on this machine.
        os.environ["SHOP_HOME"] = str(shop)
        os.environ.pop("SHOP_SMTP", None)
        scenes = (*SCENES, research_scene(pages), briefing_scene(pages))
        scripts = {
            goal: script for scene in scenes for goal, script in {scene.goal: scene.script, **scene.parts}.items()
        }
        async with model_in_use(settings, scripts) as settings, dev_server(ui=True) as server:
            app = application(settings.model_copy(update={"agents": [pages.agents], "search_attributes": True}))
            async with serving(app, server.client):
                _introduce(server, settings, pages)
                client = BackstayClient(server.client, settings.task_queue)
                played = [await _play(client, number, scene, shop) for number, scene in enumerate(scenes, 1)]
                code = _report(played, server.ui or "", scripted, time.monotonic() - began)
                await _stay(keep, server)
    return code


def _introduce(server: DevServer, settings: Settings, pages: Pages) -> None:
    say(f"Temporal  {server.address}, on this machine, in memory")
    say(f"UI        {server.ui}")
    say(f"model     {model_line(settings)}", "yellow" if not has_model(settings) else "")
    say(f"pages     http://{pages.address}, a server on this machine in place of a host of the web", "yellow")


async def _play(client: BackstayClient, number: int, scene: Scene, shop: Path) -> _Played:
    say(f"\n{number}. {scene.title}", "bold")
    say(f"goal     {scene.goal}")
    run = await client.start(scene.request(), f"demo-{number}-{scene.name}")
    played = _Played(scene, run.run_id)
    killing = asyncio.create_task(_kill_during(run, scene.kill_during)) if scene.kill_during else None
    try:
        played.result = await follow_to_the_end(run, Follower(run, print_line))
    except BackstayError as error:
        say(f"         {error}", "red")
    finally:
        if killing is not None:
            killing.cancel()
            await asyncio.gather(killing, return_exceptions=True)
    _say_end(played)
    if killing is not None and not killing.cancelled() and killing.exception() is None:
        say(f"         closed {time.monotonic() - killing.result():.1f} s after the kill")
    _judge(played, shop)
    return played


async def _kill_during(run: Run, tool: str) -> float:
    """Kills a run once the tool is running; returns the time of the order by the monotonic clock."""
    works = False
    while not works:
        await asyncio.sleep(_LOOK_SECONDS)
        works = await _works(run, tool)
    say(f"         {tool} is running; now somebody kills the run", "yellow")
    ordered = time.monotonic()
    await run.kill("olga@example.com", "not needed any more")
    return ordered


async def _works(run: Run, tool: str) -> bool:
    running = {one.call_id for one in (await run.describe()).pending if one.running and one.call_id}
    if not running:
        return False
    calls = [call async for item in run.transcript() for call in item.calls or []]
    return any(call["call_id"] in running and call["tool"] == tool for call in calls)


def _say_end(played: _Played) -> None:
    result = played.result
    if result is None:
        played.wrong.append("it has no result")
        return
    detail = f" ({result.stop_detail})" if result.stop_detail else ""
    reason = "" if result.status == "completed" else f" · {result.stop_reason}{clean(detail)}"
    line = Text.assemble("end      ", (result.status, STATUS_STYLE.get(result.status, "")), reason)
    print_line(line)
    for call in result.in_flight:
        say(f"         in flight: {clean(call.tool)}, {call.outcome}")
    if result.stop_reason != played.scene.ends:
        played.wrong.append(f"it ended with {result.stop_reason}, not with {played.scene.ends}")


def _judge(played: _Played, shop: Path) -> None:
    if played.scene.evidence is not None:
        evidence = played.scene.evidence(shop)
        say(f"look     {evidence.text}")
        if not evidence.holds:
            played.wrong.append(evidence.text)


def _report(played: Sequence[_Played], ui: str, scripted: bool, seconds: float) -> int:
    """Prints the table and returns the exit code; only a scripted model has to end as expected."""
    links = [run_link(ui, NAMESPACE, one.run_id) for one in played]
    beside = data().width >= 56 + max(len(link) for link in links)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for name in ("run", "status", "stop reason"):
        table.add_column(name, no_wrap=True)
    table.add_column("steps", justify="right")
    table.add_column("spend", justify="right")
    if beside:
        table.add_column("in the Temporal UI", no_wrap=True)
    for one, link in zip(played, links, strict=True):
        table.add_row(*_cells(one), *([link] if beside else []))
    write("", table, "")
    if not beside:
        write(Text("in the Temporal UI", "bold"), *links, "")
    wrong = [f"{one.run_id}: {text}" for one in played for text in one.wrong] if scripted else []
    for text in wrong:
        say(f"not as promised: {text}", "bold red")
    if scripted and not wrong:
        say(f"All {len(played)} runs ended as governance promises, in {seconds:.0f} s.", "green")
    return ExitCode.FAILED if wrong else ExitCode.COMPLETED


def _cells(one: _Played) -> list[Text]:
    result = one.result
    if result is None:
        return [Text(text) for text in (one.run_id, "failed", "-", "-", "-")]
    style = STATUS_STYLE.get(result.status, "")
    return [
        Text(one.run_id),
        Text(result.status, style),
        Text(result.stop_reason),
        Text(str(result.steps)),
        Text(f"${result.spent.usd}"),
    ]


async def _stay(keep: bool, server: DevServer) -> None:
    if not keep:
        say(f"The engine ends now. `{program()} demo --keep` leaves it up, so that you can look at the runs in its UI.")
        return
    say(f"Still up: {server.ui} · Ctrl-C stops all.")
    say(f"look at a run: TEMPORAL_ADDRESS={server.address} {program()} show demo-1-refund")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return  # Ctrl-C is how it is meant to end
