"""The command `backstay` and `worker.py`, as processes of their own: exit codes, what is written where, signals."""

import asyncio
import json
import os
import re
import signal
import sys
import time
import uuid
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from backstay.adapters.dev_server import DevServer, free_port, temporal_binary
from backstay.testing import Call, Failure, Reply, ScriptedModel

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).resolve().parents[2]
PRICE = "input=0.25,cached_input=0.025,output=2.00"
PATIENCE = 60.0
SHOWN = [
    *("run_id", "execution", "started_at", "closed_at", "status", "result", "problem"),
    *("in_flight", "transcript", "ui"),
]

TOOLS = '''
import asyncio, os, pathlib, time
from backstay.tools import tool

LOG = pathlib.Path(os.environ["CLERK_LOG"])

def note(text):
    with LOG.open("a") as log:
        log.write(text + "\\n")

@tool(effect="read")
def add(left: int, right: int) -> int:
    """Adds two numbers."""
    return left + right

@tool(effect="write", timeout="120s")
async def work(name: str, seconds: float) -> str:
    """Works for a while."""
    note(f"{name} begins")
    await asyncio.sleep(seconds)
    note(f"{name} ends")
    return "worked"

@tool(effect="read", timeout="300s")
def hang(name: str) -> str:
    """Never returns."""
    note(f"{name} begins")
    while True:
        time.sleep(1)
'''


def work(name: str, seconds: float) -> Reply:
    return Reply(calls=[Call("work", {"name": name, "seconds": seconds})])


SCRIPTS = {
    "add": [Reply(calls=[Call("add", {"left": 2, "right": 3})]), Reply("it is 5")],
    "fail": [Failure(400, "no such model")],
    "wait": [work("waiting", 60)],
    "impatient": [work("impatient", 60)],
    "handover": [work("handover", 3), Reply("done")],
    "hang": [Reply(calls=[Call("hang", {"name": "hanging"})])],
    "steer": [Reply("\x1b[2Jred\x1b[31m")],
}


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Running:
    """A process that writes to files, so that it never waits for its reader."""

    process: Process
    out: Path
    err: Path

    @classmethod
    async def of(cls, folder: Path, *command: str, **environment: str) -> "Running":
        name = uuid.uuid4().hex
        out, err = folder / f"{name}.out", folder / f"{name}.err"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *command, cwd=ROOT, env=environment, stdin=DEVNULL, stdout=stdout, stderr=stderr
            )
        return cls(process, out, err)

    async def says(self, text: str) -> None:
        """Waits until stderr holds `text`."""

        async def said() -> bool:
            assert self.process.returncode is None or text in self.err.read_text(), self.err.read_text()
            return text in self.err.read_text()

        await eventually(said)

    async def end(self, within: float = PATIENCE) -> Ended:
        code = await asyncio.wait_for(self.process.wait(), within)
        out, err = self.out.read_text(), self.err.read_text()
        assert "Traceback" not in err, err
        return Ended(code, out, err)


@dataclass(frozen=True, slots=True)
class Place:
    """Where commands are run: their environment and the clerk's log."""

    environment: dict[str, str]
    log: Path
    started: list[Running] = field(default_factory=list[Running])

    async def start(self, *command: str, **environment: str) -> Running:
        known = {**self.environment, **environment}
        running = await Running.of(self.log.parent, sys.executable, *command, **known)
        self.started.append(running)
        return running

    async def close(self) -> None:
        """Ends what a failed test left running."""
        for running in self.started:
            if running.process.returncode is None:
                running.process.kill()
            await running.process.wait()

    async def backstay(self, *arguments: str, **environment: str) -> Ended:
        return await (await self.start("-m", "backstay", *arguments, **environment)).end()

    @asynccontextmanager
    async def worker(self, **environment: str) -> AsyncGenerator[Running]:
        """A worker that is ready; it may end before the context does."""
        worker = await self.start("worker.py", **environment)
        try:
            await worker.says("worker ready: agents clerk, default on task queue ")
            yield worker
        finally:
            if worker.process.returncode is None:
                worker.process.kill()
            await worker.process.wait()

    async def logged(self, line: str) -> None:
        await eventually(lambda: asyncio.to_thread(self._holds, line))

    def _holds(self, line: str) -> bool:
        return self.log.exists() and line in self.log.read_text().splitlines()


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not await holds():
        assert time.monotonic() < deadline, "it never came to that"
        await asyncio.sleep(0.05)


async def temporal(place: Place, *arguments: str) -> Ended:
    return await (await Running.of(place.log.parent, temporal_binary(), *arguments, **place.environment)).end()


def fresh(word: str) -> str:
    return f"{word}-{uuid.uuid4().hex[:8]}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(temporal_server: DevServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Place]:
    """An environment with a model, agents and a task queue of this module's own; no worker runs yet."""
    home = tmp_path_factory.mktemp("command")
    clerk = home / "agents" / "clerk"
    clerk.mkdir(parents=True)
    (clerk / "agent.toml").write_text('instructions = "You are a careful clerk."\n')
    (clerk / "tools.py").write_text(TOOLS)
    log = home / "clerk.log"
    ours = ("OPENAI_", "BACKSTAY_", "TEMPORAL_", "SHOP_", "OTEL_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    async with ScriptedModel(SCRIPTS) as model:
        environment = {
            **inherited,
            "TEMPORAL_ADDRESS": temporal_server.address,
            "OPENAI_BASE_URL": model.base_url,
            "BACKSTAY_AGENTS": str(home / "agents"),
            "BACKSTAY_MODEL_PRICE": PRICE,
            "BACKSTAY_TASK_QUEUE": fresh("commands"),
            "BACKSTAY_USER": "olga@example.com",
            "CLERK_LOG": str(log),
        }
        place = Place(environment, log)
        yield place
        await place.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(place: Place) -> AsyncGenerator[Place]:
    """The place with one worker for all tests that need no other."""
    async with place.worker():
        yield place


async def test_help_and_version_load_no_engine(place: Place) -> None:
    code = "import sys; from backstay.cli import execute; execute([sys.argv[1]]); print('temporalio' in sys.modules)"
    for option, said in (("--help", "  kill "), ("--version", "backstay 0.")):
        run = await (await place.start("-c", code, option)).end()
        assert said in run.out
        assert run.out.endswith("False\n")


async def test_a_run_shows_its_steps_on_stderr_and_its_result_on_stdout(served: Place) -> None:
    run = await served.backstay("run", "add", "--agent", "clerk", "--id", fresh("add"))
    assert run.code == 0
    assert "→ add(left=2, right=3)" in run.err
    assert "✓ 5" in run.err
    assert re.match(r"answer +it is 5\nstatus +completed\nspent +\$0\.\d+ of \$0\.50 · 2 steps · 1 tool call", run.out)


async def test_a_run_stopped_by_its_budget_exits_with_3_and_writes_its_result_as_json(served: Place) -> None:
    run = await served.backstay("run", "add", "-a", "clerk", "--budget", "steps=1,tools.add.calls=1", "-o", "json")
    assert run.code == 3
    result = run.json()
    assert (result["status"], result["stop_reason"], result["stop_detail"]) == ("stopped", "budget_exhausted", "steps")
    assert set(result["budget"]["tools"]) == {"add"}


async def test_a_failed_run_exits_with_1_and_still_has_its_result(served: Place) -> None:
    run = await served.backstay("run", "fail", "-a", "clerk", "-o", "json")
    assert run.code == 1
    assert (run.json()["status"], run.json()["stop_reason"]) == ("failed", "model_unavailable")


async def test_what_a_model_says_cannot_steer_the_terminal(served: Place) -> None:
    run = await served.backstay("run", "steer", "-a", "clerk", FORCE_COLOR="1")
    assert "\x1b[2J" not in run.out + run.err
    assert "red" in run.out


async def test_what_cannot_be_admitted_exits_with_2_and_names_the_field(served: Place) -> None:
    wrong = (
        (["--agent", "nobody"], "`agent`: no agent of that name"),
        (["-a", "clerk", "--budget", "usd=99"], "`budget.usd`: may not exceed the ceiling of 0.50"),
        (["-a", "clerk", "--budget", "steps=many"], "`steps` must be a whole number"),
    )
    runs = await asyncio.gather(*(served.backstay("run", "add", *arguments) for arguments, _ in wrong))
    for run, (_, message) in zip(runs, wrong, strict=True):
        assert (run.code, run.out) == (2, "")
        assert message in run.err


async def test_a_closed_run_can_be_shown_and_not_be_started_again(served: Place) -> None:
    run_id = fresh("shown")
    assert (await served.backstay("run", "add", "-a", "clerk", "--id", run_id)).code == 0
    as_json, as_text, again = await asyncio.gather(
        served.backstay("show", run_id, "-o", "json"),
        served.backstay("show", run_id),
        served.backstay("run", "add", "-a", "clerk", "--id", run_id),
    )
    assert (as_json.code, as_text.code, again.code) == (0, 0, 2)
    assert f"`backstay show {run_id}`" in again.err
    shown = as_json.json()
    assert list(shown) == SHOWN
    assert (shown["execution"], shown["status"]["state"]) == ("completed", "closed")
    assert (shown["result"]["answer"], shown["problem"]) == ("it is 5", None)
    assert [item["kind"] for item in shown["transcript"]] == ["goal", "decision", "result", "decision"]
    assert re.search(r"^tool_calls +1 +0 +39 +40  █░", as_text.out, re.M)
    assert "step 1   → add(left=2, right=3)" in as_text.out


async def test_a_run_that_does_not_exist_exits_with_4(served: Place) -> None:
    shown, killed = await asyncio.gather(
        served.backstay("show", "nowhere"), served.backstay("kill", "nowhere", "--reason", "x")
    )
    for run in (shown, killed):
        assert (run.code, run.out) == (4, "")
        assert run.err.startswith("backstay: there is no run `nowhere`")


async def test_a_kill_ends_a_run_while_its_tool_works(served: Place) -> None:
    run_id = fresh("killed")
    following = asyncio.create_task(served.backstay("run", "wait", "-a", "clerk", "--id", run_id))
    await served.logged("waiting begins")
    running = await served.backstay("show", run_id, "-o", "json")
    assert [(one["call_id"], one["state"]) for one in running.json()["in_flight"]] == [("1-0", "running")]
    kill = await served.backstay("kill", run_id, "--reason", "enough", "-o", "json")
    assert kill.code == 0
    result = kill.json()["result"]
    assert (result["stop_reason"], result["stop_detail"]) == ("killed", "by olga@example.com: enough")
    assert [call["tool"] for call in result["in_flight"]] == ["work"]
    followed = await following
    assert followed.code == 3
    assert "stopped · killed" in followed.out
    again = await served.backstay("kill", run_id, "--reason", "enough")
    assert again.code == 0  # killed is what it is
    assert "nothing to kill: the run had closed before (stopped, killed)" in again.err


async def test_a_wait_may_time_out_and_ctrl_c_leaves_the_run_alone(served: Place) -> None:
    first, second = fresh("patient"), fresh("patient")
    first_again = ("run", "wait", "-a", "clerk", "--id", first, "--no-wait")
    timed_out = asyncio.create_task(served.backstay("run", "wait", "-a", "clerk", "--id", first, "--timeout", "1s"))
    following = await served.start("-m", "backstay", "run", "wait", "-a", "clerk", "--id", second)
    await following.says("→ work(")
    following.process.send_signal(signal.SIGINT)
    interrupted = await following.end()
    assert (interrupted.code, (await timed_out).code) == (130, 124)
    assert (await served.backstay(*first_again)).out == f"{first}\n"  # it is open: the same run
    assert f"backstay kill {second} --reason" in interrupted.err
    kills = await asyncio.gather(*(served.backstay("kill", one, "-r", "tidy up") for one in (first, second)))
    assert [one.code for one in kills] == [0, 0]  # both went on until now


async def test_temporals_own_command_starts_a_run(served: Place) -> None:
    run_id, queue = fresh("cli"), served.environment["BACKSTAY_TASK_QUEUE"]
    given = '{"goal": "add", "agent": "clerk"}'
    start = ("workflow", "start", "--type", "AgentRun", "--task-queue", queue, "--workflow-id", run_id)
    assert (await temporal(served, *start, "--input", given)).code == 0
    followed = await temporal(served, "workflow", "result", "--workflow-id", run_id, "-o", "json")
    assert json.loads(followed.out)["result"]["answer"] == "it is 5"


async def test_without_a_worker_a_command_says_so(place: Place) -> None:
    queue, run_id = fresh("nobody"), fresh("lonely")
    run = await place.start("-m", "backstay", "run", "add", "--id", run_id, BACKSTAY_TASK_QUEUE=queue)
    await run.says(f"no worker polls the task queue `{queue}` yet")
    shown, kill = await asyncio.gather(
        place.backstay("show", run_id, BACKSTAY_TASK_QUEUE=queue),
        place.backstay("kill", run_id, "--reason", "enough", BACKSTAY_TASK_QUEUE=queue),
    )
    assert (shown.code, kill.code) == (0, 124)
    assert "no worker answers" in shown.err
    assert re.search(r"^goal +add$", shown.out, re.M)
    assert "The order waits with the engine" in kill.err
    async with place.worker(BACKSTAY_TASK_QUEUE=queue):
        followed = await run.end()
    assert followed.code == 3
    assert "stopped · killed" in followed.out


async def test_where_no_server_answers_every_command_exits_with_5_in_one_line(place: Place) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    commands = (["run", "x"], ["show", "x"], ["worker"])
    runs = await asyncio.gather(*(place.backstay(*command, TEMPORAL_ADDRESS=nowhere) for command in commands))
    for run in runs:
        assert (run.code, run.out) == (5, "")
        assert run.err.startswith(f"backstay: no Temporal server answers at `{nowhere}`")
        assert run.err.count("\n") == 1


async def test_a_worker_that_is_not_configured_exits_with_2_in_one_line(place: Place, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    (broken / "odd").mkdir(parents=True)
    (broken / "odd" / "agent.toml").write_text('instructions = "x"\n\n[budget]\nstepz = 3\n')
    wrong = (
        ([], {"BACKSTAY_AGENTS": str(broken)}, f"{broken}/odd/agent.toml:4: `budget.stepz`: unknown field"),
        ([], {"TEMPORAL_NAMESPACE": "nowhere"}, "there is no namespace `nowhere`"),
        (["--agents", "clerk,nobody"], {}, "there is no agent `nobody`"),
    )
    runs = await asyncio.gather(*(place.backstay("worker", *given, **env) for given, env, _ in wrong))
    checkout = await (await place.start("worker.py", OPENAI_BASE_URL="")).end()
    messages = [*(message for *_, message in wrong), "`OPENAI_API_KEY` is not set"]
    for run, message in zip([*runs, checkout], messages, strict=True):
        assert (run.code, run.out) == (2, "")
        assert message in run.err
        assert run.err.count("\n") == 1


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


async def test_dev_serves_until_ctrl_c_and_says_that_no_real_model_is_there(place: Place) -> None:
    port = free_port()
    dev = await place.start("-m", "backstay", "dev", "--port", str(port), "--ui-port", "0", OPENAI_BASE_URL="")
    await dev.says("worker ready: agents clerk, default")
    taken = await place.backstay("dev", "--port", str(port))
    run = await place.backstay("run", "Hello?", TEMPORAL_ADDRESS=f"127.0.0.1:{port}")
    assert (taken.code, run.code) == (2, 0)
    assert f"cannot listen on port {port}" in taken.err
    assert "scripted model" in run.out
    dev.process.send_signal(signal.SIGINT)
    stopped = await dev.end()
    assert stopped.code == 0
    assert f"Temporal  127.0.0.1:{port}" in stopped.out
    assert "no real model is behind it" in stopped.out


async def test_the_demo_shows_five_runs_that_end_as_governance_promises(place: Place) -> None:
    demo = await place.backstay("demo", OPENAI_BASE_URL="")
    assert demo.code == 0, demo.err
    rows = [line.split()[:4] for line in demo.out.splitlines() if line.startswith("demo-")]
    assert rows == [
        ["demo-1-refund", "completed", "completed", "3"],
        ["demo-2-denied", "completed", "completed", "2"],
        ["demo-3-budget", "stopped", "budget_exhausted", "3"],
        ["demo-4-killed", "stopped", "killed", "1"],
        ["demo-5-mail", "completed", "completed", "3"],
    ]
    assert "no real model is behind it" in demo.err
    assert "refunds of A17 in the shop's books: 25.00" in demo.err
    assert "messages that arrived by SMTP in the local maildir: 1" in demo.err


async def _namespace(place: Place) -> str:
    """A new namespace that every part of the server knows."""
    namespace = fresh("fresh")
    assert (await temporal(place, "operator", "namespace", "create", "-n", namespace)).code == 0

    async def known() -> bool:
        return (await temporal(place, "workflow", "list", "-n", namespace)).code == 0

    await eventually(known)
    return namespace
