"""The command `backstay` as a process of its own: exit codes, what is written where, signals."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from backstay.adapters.engine.dev_server import DevServer, free_port
from tests.integration.command_place import Place, command_place, fresh, temporal

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHOWN = [
    *("run_id", "execution", "state", "started_at", "closed_at", "status", "result", "problem"),
    *("trouble", "people", "refused", "in_flight", "models", "transcript", "ui"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(temporal_server: DevServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Place]:
    """A place where no worker runs yet."""
    async with command_place(temporal_server, tmp_path_factory.mktemp("command")) as place:
        yield place


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
    run_id, limits = fresh("short"), "steps=1,tools.add.calls=1"
    run = await served.backstay("run", "add", "-a", "clerk", "--id", run_id, "--budget", limits, "-o", "json")
    assert run.code == 3
    result = run.json()
    assert (result["status"], result["stop_reason"], result["stop_detail"]) == ("stopped", "budget_exhausted", "steps")
    assert set(result["budget"]["tools"]) == {"add"}
    assert result["stop_explained"].startswith("all 1 steps are used: raise steps")
    shown, again = await asyncio.gather(served.backstay("show", run_id), served.backstay("result", run_id))
    for said in (shown.out, again.out):
        assert re.search(r"^why +all 1 steps are used: raise steps", said, re.M)


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
    as_json = await served.backstay("show", run_id, "-o", "json")
    as_text = await served.backstay("show", run_id)
    again = await served.backstay("run", "add", "-a", "clerk", "--id", run_id)
    assert (as_json.code, as_text.code, again.code) == (0, 0, 2)
    assert f"backstay show {run_id}` shows that run" in again.err
    shown = as_json.json()
    assert list(shown) == SHOWN
    assert (shown["execution"], shown["status"]["state"]) == ("completed", "closed")
    assert (shown["result"]["answer"], shown["problem"]) == ("it is 5", None)
    assert (shown["models"], shown["transcript"][1]["model"]) == (["scripted"], "scripted")
    assert re.search(r"^model +scripted$", as_text.out, re.M)
    assert [item["kind"] for item in shown["transcript"]] == ["goal", "decision", "result", "decision"]
    assert re.search(r"^tool_calls +1 +0 +39 +40  █░", as_text.out, re.M)
    assert "step 1   → add(left=2, right=3)" in as_text.out


async def test_a_transcript_tells_the_conversation_of_a_closed_run(served: Place) -> None:
    run_id = fresh("told")
    assert (await served.backstay("run", "add", "-a", "clerk", "--id", run_id)).code == 0
    told, as_json, shown = await asyncio.gather(
        served.backstay("transcript", run_id),
        served.backstay("transcript", run_id, "-o", "json"),
        served.backstay("show", run_id, "-o", "json"),
    )
    assert (told.code, as_json.code) == (0, 0)
    assert told.out.splitlines() == [
        "goal     add",
        "step 1   → add(left=2, right=3)",
        "         ✓ 5",
        "step 2   → it is 5",
    ]
    assert as_json.json() == {"items": shown.json()["transcript"]}


async def test_a_transcript_tells_an_open_run_as_far_as_it_came(served: Place) -> None:
    run_id = fresh("telling")
    assert (await served.backstay("run", "wait", "-a", "clerk", "--id", run_id, "--no-wait")).code == 0
    await served.logged("waiting begins")
    told = await served.backstay("transcript", run_id, "-o", "json")
    assert [item["kind"] for item in told.json()["items"]] == ["goal", "decision"]
    assert (await served.backstay("kill", run_id, "--reason", "told")).code == 0


async def test_a_start_that_nobody_follows_is_refused_at_once_too(served: Place) -> None:
    refused = await served.backstay("run", "x", "-a", "clrk", "--id", fresh("refused"), "--no-wait", "-o", "json")
    assert (refused.code, refused.json()["error"]["code"]) == (2, "InvalidInput")
    assert "clerk" in refused.json()["error"]["why"] + refused.json()["error"]["do"]


async def test_a_run_that_does_not_exist_exits_with_4(served: Place) -> None:
    for run in await asyncio.gather(
        served.backstay("show", "nowhere"),
        served.backstay("transcript", "nowhere"),
        served.backstay("kill", "nowhere", "--reason", "x"),
    ):
        assert (run.code, run.out) == (4, "")
        assert run.err.startswith("backstay: there is no run `nowhere`")


async def test_a_grant_raises_limits_of_a_running_run(served: Place) -> None:
    run_id = fresh("granted")
    options = ("-a", "clerk", "--id", run_id, "--budget", "steps=2,usd=0.10", "--no-wait")
    assert (await served.backstay("run", "wait", *options)).code == 0
    grant = await served.backstay("grant", run_id, "usd=0.20", "steps=3", "--reason", "more to do")
    assert (grant.code, grant.out) == (0, "")
    assert f"{run_id}: granted steps=3, usd=0.20; limits now: steps=5," in grant.err
    again = await served.backstay("grant", run_id, "steps=1", "-r", "and more", "-o", "json")
    assert (again.json()["run_id"], again.json()["budget"]["steps"]) == (run_id, 6)
    for options, code, words in (
        (("steps=1", "-r", "mine", "--by", "mallory"), 1, "only members"),
        (("usd=9", "-r", "all"), 1, "above the ceiling of 0.50"),
        (("steps", "-r", "what"), 2, "usd=0.10"),
    ):
        refused = await served.backstay("grant", run_id, *options)
        assert (refused.code, words in refused.err) == (code, True), refused.err
    assert (await served.backstay("kill", run_id, "--reason", "enough")).code == 0
    assert (await served.backstay("grant", run_id, "steps=1", "-r", "late")).code == 1


async def calls_in_flight(served: Place, run_id: str) -> list[tuple[str, str]]:
    shown = (await served.backstay("show", run_id, "-o", "json")).json()
    return [(one["call_id"], one["state"]) for one in shown.get("in_flight", ()) if one["call_id"]]


async def test_a_kill_ends_a_run_while_its_tool_works(served: Place) -> None:
    run_id = fresh("killed")
    following = asyncio.create_task(served.backstay("run", "wait", "-a", "clerk", "--id", run_id))
    # An earlier run has logged that it waits, too: what is shown tells whether this one has come as far.
    while not (calls := await calls_in_flight(served, run_id)):
        await asyncio.sleep(0.2)
    assert calls == [("1-0", "running")]
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
    assert "Temporal keeps the order" in kill.err
    async with place.worker(BACKSTAY_TASK_QUEUE=queue):
        followed = await run.end()
    assert followed.code == 3
    assert "stopped · killed" in followed.out


async def test_where_no_server_answers_every_command_exits_with_5_in_three_lines(place: Place) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    commands = (["run", "x"], ["show", "x"], ["worker"])
    runs = await asyncio.gather(*(place.backstay(*command, TEMPORAL_ADDRESS=nowhere) for command in commands))
    for run in runs:
        assert (run.code, run.out) == (5, "")
        what, why, do = run.err.splitlines()
        assert what == f"backstay: no Temporal server answers at `{nowhere}`"
        assert (why[:10], do[:10]) == ("     why: ", "      do: ")
        assert "backstay dev`" in do
