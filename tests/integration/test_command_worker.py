"""`worker.py`, `backstay setup`, `dev` and `demo` as processes of their own: how they start and how they end."""

import asyncio
import re
import signal
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from backstay.adapters.engine.dev_server import DevServer, free_port
from tests.integration.command_place import Place, command_place, eventually, fresh, temporal

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

SLOWER = 5
"""The factor by which a machine that does other things too may be slower."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(temporal_server: DevServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Place]:
    """A place where no worker runs yet."""
    async with command_place(temporal_server, tmp_path_factory.mktemp("command")) as place:
        yield place


async def test_a_worker_that_is_not_configured_exits_with_2_and_says_why(place: Place, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    (broken / "odd").mkdir(parents=True)
    (broken / "odd" / "agent.toml").write_text('instructions = "x"\n\n[budget]\nstepz = 3\n')
    wrong = (
        ([], {"BACKSTAY_AGENTS": str(broken)}, f"{broken}/odd/agent.toml:4 cannot be used\n     why: `budget.stepz`"),
        ([], {"TEMPORAL_NAMESPACE": "nowhere"}, "there is no namespace `nowhere`"),
        (["--agents", "clerk,nobody"], {}, "there is no agent `nobody`"),
    )
    runs = await asyncio.gather(*(place.backstay("worker", *given, **env) for given, env, _ in wrong))
    checkout = await (await place.start("worker.py", OPENAI_BASE_URL="")).end()
    messages = [*(message for *_, message in wrong), "`OPENAI_API_KEY` is not set"]
    for run, message in zip([*runs, checkout], messages, strict=True):
        assert (run.code, run.out) == (2, "")
        assert message in run.err
        assert run.err.count("\n") <= 3


async def test_a_worker_told_to_stop_lets_its_tool_finish_and_hands_the_run_over(place: Place) -> None:
    queue = fresh("handover")
    async with place.worker(BACKSTAY_TASK_QUEUE=queue) as first:
        following = asyncio.create_task(
            place.backstay("run", "handover", "-a", "clerk", "-o", "json", BACKSTAY_TASK_QUEUE=queue)
        )
        await place.logged("handover begins")
        first.process.terminate()
        async with place.worker(BACKSTAY_TASK_QUEUE=queue):
            result = await following
        assert (await first.end()).code == 0
    assert (result.code, result.json()["answer"]) == (0, "done")
    assert place.log.read_text().splitlines().count("handover begins") == 1


async def test_a_tool_that_never_returns_keeps_no_worker_from_ending(place: Place) -> None:
    queue, run_id = fresh("hang"), fresh("hang")
    environment = {"BACKSTAY_TASK_QUEUE": queue, "BACKSTAY_SHUTDOWN_SECONDS": "1"}
    async with place.worker(**environment) as worker:
        await place.backstay("run", "hang", "-a", "clerk", "--id", run_id, "--no-wait", **environment)
        await place.logged("hanging begins")
        worker.process.terminate()
        assert (await worker.end()).code == 0
    await temporal(place, "workflow", "terminate", "--workflow-id", run_id)
    gone = await place.backstay("show", run_id, BACKSTAY_TASK_QUEUE=queue)
    assert re.search(r"^state +terminated", gone.out, re.M)


async def test_a_second_signal_ends_a_worker_at_once(place: Place) -> None:
    queue = fresh("impatient")
    async with place.worker(BACKSTAY_TASK_QUEUE=queue, BACKSTAY_SHUTDOWN_SECONDS="60") as worker:
        run_id = fresh("impatient")
        await place.backstay("run", "impatient", "-a", "clerk", "--id", run_id, "--no-wait", BACKSTAY_TASK_QUEUE=queue)
        await place.logged("impatient begins")
        worker.process.send_signal(signal.SIGINT)
        await worker.says("stopping: no new work")
        worker.process.send_signal(signal.SIGINT)
        assert (await worker.end(within=10)).code == 130
    await temporal(place, "workflow", "terminate", "--workflow-id", run_id)


async def test_setup_and_a_worker_both_register_what_is_missing(place: Place) -> None:
    by_hand, by_worker = await asyncio.gather(_namespace(place), _namespace(place))
    setup = await place.backstay("setup", TEMPORAL_NAMESPACE=by_hand)
    assert setup.code == 0
    assert setup.out.splitlines()[0] == "added    BackstayAgent (Keyword)"
    async with place.worker(TEMPORAL_NAMESPACE=by_worker) as worker:
        await worker.says("added search attributes: BackstayAgent, ")
        again = await place.backstay("setup", TEMPORAL_NAMESPACE=by_worker)
    assert again.code == 0
    assert {line.split()[0] for line in again.out.splitlines()} == {"present"}
    as_json = (await place.backstay("setup", "-o", "json", TEMPORAL_NAMESPACE=by_hand)).json()
    assert as_json["namespace"] == by_hand
    assert as_json["search_attributes"][0] == {"name": "BackstayAgent", "type": "Keyword", "outcome": "present"}


async def test_a_search_attribute_of_another_type_stops_a_worker_unless_it_runs_without(place: Place) -> None:
    namespace = await _namespace(place)
    odd = ("operator", "search-attribute", "create", "-n", namespace, "--name", "BackstayUsd", "--type", "Text")
    assert (await temporal(place, *odd)).code == 0
    refused = await place.backstay("worker", TEMPORAL_NAMESPACE=namespace)
    assert refused.code == 2
    assert "`BackstayUsd` is Text, and must be Double" in refused.err
    async with place.worker(TEMPORAL_NAMESPACE=namespace, BACKSTAY_SEARCH_ATTRIBUTES="off"):
        run = await place.backstay("run", "add", "-a", "clerk", TEMPORAL_NAMESPACE=namespace)
    assert run.code == 0


async def test_dev_keeps_its_runs_serves_edits_is_joined_and_stops_at_once(place: Place, tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / ".backstay" / "dev.db"
    ours = {"OPENAI_BASE_URL": "", "TEMPORAL_ADDRESS": f"127.0.0.1:{port}"}
    line = ("-m", "backstay", "dev", "--ui-port", "0")
    here = replace(place, cwd=tmp_path)
    dev = await here.start(*line, "--port", str(port), **ours)
    await dev.says(f"starting: looking for Temporal at 127.0.0.1:{port}")
    await dev.says("worker ready: agents clerk, default")
    run_id = fresh("kept")
    run = await place.backstay("run", "Hello?", "--id", run_id, **ours)
    tools = place.log.parent / "agents" / "clerk" / "tools.py"
    before = tools.read_text()
    tools.write_text(before.replace("Adds two numbers", "Adds two whole numbers"))
    await dev.says("clerk: new runs take the new version; open runs keep theirs")
    tools.write_text(before)
    joined, twice = await here.start(*line, **ours), await here.backstay(*line[2:], "--port", "0", **ours)
    await joined.says(f"joined the server that already runs at 127.0.0.1:{port}")
    await joined.says("worker ready: agents clerk, default")
    assert (twice.code, "another `backstay dev` keeps its runs in .backstay/dev.db" in twice.err) == (2, True)
    assert (file.is_file(), file.with_name(".gitignore").read_text()) == (True, "*\n")
    for process in (joined, dev):
        process.process.send_signal(signal.SIGINT)
        began = time.monotonic()
        stopped = await process.end()
        assert stopped.code == 0
        assert time.monotonic() - began < 3 * SLOWER
    assert run.code == 0
    assert "scripted model" in run.out
    assert f"Temporal  127.0.0.1:{port}" in stopped.out
    assert "no real model is behind it" in stopped.out
    again = await place.start(*line, "--port", str(port), "--db", str(file), **ours)
    await again.says("worker ready: agents clerk, default")
    assert (await place.backstay("result", run_id, **ours)).out == run.out
    again.process.send_signal(signal.SIGINT)
    await again.end()


async def test_dev_names_the_tool_that_keeps_it_from_stopping(place: Place) -> None:
    port = free_port()
    ours = {"TEMPORAL_ADDRESS": f"127.0.0.1:{port}", "BACKSTAY_SHUTDOWN_SECONDS": "3"}
    dev = await place.start("-m", "backstay", "dev", "--ui-port", "0", "--memory", **ours)
    await dev.says("which forgets its runs at the end")
    await dev.says("worker ready: agents clerk, default")
    before = place.count("hanging begins")
    await place.backstay("run", "hang", "-a", "clerk", "--no-wait", **ours)
    await place.logged("hanging begins", before + 1)
    dev.process.send_signal(signal.SIGTERM)
    await dev.says("for the tool `hang` of the agent `clerk` (call 1-0 of the run clerk-")
    assert (await dev.end()).code == 0


async def test_dev_says_that_something_else_has_its_port_and_keeps_nothing_in_memory(
    place: Place, tmp_path: Path
) -> None:
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        here = replace(place, cwd=tmp_path)
        taken = await here.backstay("dev", "--memory", "--port", str(port), OPENAI_BASE_URL="")
    assert taken.code == 2
    assert not (tmp_path / ".backstay").exists()
    assert f"cannot listen on port {port}" in taken.err


async def test_the_demo_shows_seven_runs_that_end_as_governance_promises(place: Place) -> None:
    demo = await place.backstay("demo", OPENAI_BASE_URL="")
    assert demo.code == 0, demo.err
    rows = [line.split()[:4] for line in demo.out.splitlines() if line.startswith("demo-")]
    assert rows == [
        ["demo-1-refund", "completed", "completed", "3"],
        ["demo-2-denied", "completed", "completed", "2"],
        ["demo-3-budget", "stopped", "budget_exhausted", "3"],
        ["demo-4-killed", "stopped", "killed", "1"],
        ["demo-5-mail", "completed", "completed", "3"],
        ["demo-6-research", "completed", "completed", "4"],
        ["demo-7-briefing", "completed", "completed", "3"],
    ]
    assert "no real model is behind it" in demo.err
    assert "refunds of A17 in the shop's books: 25.00" in demo.err
    assert "messages that arrived by SMTP in the local maildir: 1" in demo.err
    assert "http_request: denied by pages-are-only-read" in demo.out + demo.err
    assert "requests that reached the page's host: GET /tents · files written: reports/tents.md" in demo.err
    assert "requests of its two child runs: GET /tents, GET /tents · files written: reports/fjell.md" in demo.err


async def _namespace(place: Place) -> str:
    """A new namespace that every part of the server knows."""
    namespace = fresh("fresh")
    assert (await temporal(place, "operator", "namespace", "create", "-n", namespace)).code == 0

    async def known() -> bool:
        return (await temporal(place, "workflow", "list", "-n", namespace)).code == 0

    await eventually(known)
    return namespace
