"""Servers that start as programs: whatever they do, no harm reaches the worker, and every call has the right end."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from backstay.adapters.mcp.asking import ServerCall
from backstay.errors import CallLostError, SchemaDriftError, SecretError, ToolError, UnreachedError

from .place import RAW, Place, gone

Opened = Callable[..., Place]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    """Makes places with a server each, which end with the test."""
    places: list[Place] = []

    def one(*options: str, **server: Any) -> Place:
        places.append(Place(tmp_path, *options, **server))
        return places[-1]

    yield one
    for place in places:
        await place.close()


@pytest.fixture
async def raw(opened: Opened) -> Place:
    """A server whose tools are pinned."""
    place = opened()
    await place.started()
    return place


async def test_a_call_reaches_the_server_with_its_key_and_comes_back(raw: Place) -> None:
    said = json.loads(await raw.says("echo", "hello"))
    assert said["arguments"] == {"text": "hello"}
    assert said["meta"]["backstay/idempotency-key"] == "key-1"
    assert said["meta"]["backstay/run"] == "run-1"


async def test_one_connection_serves_a_tenant_and_another_one_the_next(raw: Place) -> None:
    async def pid(tenant: str) -> str:
        answer = await raw.call("environment", key=tenant)
        return json.loads(answer["content"][0]["text"])["cwd"]

    assert await pid("acme") == await pid("acme") != await pid("globex")


async def test_many_calls_at_once_get_each_its_own_answer(raw: Place) -> None:
    found = await asyncio.gather(*(raw.says("echo", str(number)) for number in range(50)))
    assert [json.loads(one)["arguments"]["text"] for one in found] == [str(number) for number in range(50)]


async def test_a_death_in_the_call_is_told_as_lost_and_the_next_call_meets_a_new_server(raw: Place) -> None:
    with pytest.raises(CallLostError, match="`raw` was lost in the call"):
        await raw.call("die")
    assert raw.done() == ["die"]
    assert "hello" in await raw.says("echo", "hello")


async def test_a_death_takes_its_siblings_along_and_no_task_of_a_caller(raw: Place) -> None:
    late = [asyncio.create_task(raw.call("late", "5")) for _ in range(3)]
    while len(raw.done()) < 3:
        await asyncio.sleep(0.01)
    with pytest.raises(CallLostError):
        await raw.call("die")
    ends = await asyncio.gather(*late, return_exceptions=True)
    assert [type(end) for end in ends] == [CallLostError] * 3


async def test_a_server_that_died_between_two_calls_is_started_again_and_the_call_is_sent_once(raw: Place) -> None:
    await raw.says("echo", "one")
    with pytest.raises(CallLostError):
        await raw.call("die")
    assert "two" in await raw.says("echo", "two")
    assert raw.done() == ["echo one", "die", "echo two"]


async def test_a_program_that_is_not_there_is_never_reached(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.pool.server = type(place.pool.server)("raw", ("no-such-program-here",))
    with pytest.raises(UnreachedError, match="mcp_unreachable: the program of `raw` is not there"):
        await place.started()


@pytest.mark.parametrize("option", ["--exits", "--old"])
async def test_a_server_that_knows_no_probe_or_no_version(opened: Opened, option: str) -> None:
    place = opened(option)
    if option == "--exits":
        assert "echo" in (await place.started()).tools
    else:
        with pytest.raises(UnreachedError, match="no version of the protocol"):
            await place.started()


async def test_a_server_of_which_the_era_is_said_is_not_probed(opened: Opened) -> None:
    place = opened("--silent", era="legacy")
    began = time.monotonic()
    assert "echo" in (await place.started()).tools
    assert time.monotonic() - began < 8


@pytest.mark.parametrize("option", ["--endless-list", "--same-cursor"])
async def test_a_list_without_an_end_is_refused(opened: Opened, option: str) -> None:
    with pytest.raises(UnreachedError, match="has no end"):
        await opened(option).started()


async def test_all_pages_of_a_list_are_read(opened: Opened) -> None:
    assert len((await opened("--pages").started()).tools) == 25


async def test_an_error_of_the_server_is_an_answer(raw: Place) -> None:
    with pytest.raises(ToolError, match="answered with error -32000: the disk is full"):
        await raw.call("error")
    assert (await raw.call("is_error"))["isError"] is True


async def test_an_answer_that_nobody_can_read_has_happened(raw: Place) -> None:
    assert "bad_result" in await raw.says("unknown_part")
    assert raw.done() == ["unknown_part"]


async def test_a_line_of_ten_megabytes_cuts_the_server_off_in_time(raw: Place) -> None:
    began = time.monotonic()
    with pytest.raises(CallLostError):
        await raw.call("big")
    assert time.monotonic() - began < 10
    assert "after" in await raw.says("echo", "after")


async def test_a_line_without_an_end_is_not_held(raw: Place) -> None:
    with pytest.raises(CallLostError):
        await raw.call("endless")


async def test_one_byte_that_is_no_text_deafens_nobody(raw: Place) -> None:
    assert await raw.says("bad_utf8") == "caf\ufffd!"
    assert "after" in await raw.says("echo", "after")


async def test_a_flood_of_log_messages_is_dropped(raw: Place) -> None:
    began = time.monotonic()
    assert await raw.says("flood") == "flooded"
    assert time.monotonic() - began < 8


async def test_a_flood_of_other_notifications_cuts_the_server_off(raw: Place) -> None:
    with pytest.raises(CallLostError):
        await raw.call("progress")


@pytest.mark.parametrize(("tool", "words"), [("garbage", "said"), ("wrong_id", "right"), ("twice", "first")])
async def test_what_is_no_answer_is_passed_over(raw: Place, tool: str, words: str) -> None:
    assert await raw.says(tool) == words
    assert "after" in await raw.says("echo", "after")


async def test_complaints_hold_up_no_server(opened: Opened) -> None:
    place = opened("--complains")
    await place.started()
    assert "hello" in await place.says("echo", "hello")


async def test_a_call_that_is_cut_off_is_cancelled_at_the_server_and_its_siblings_go_on(raw: Place) -> None:
    sibling = asyncio.create_task(raw.call("late", "1.5"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await raw.call("hang")
    assert (await sibling)["content"][0]["text"] == "late"
    assert "cancelled" in raw.done()
    assert "after" in await raw.says("echo", "after")


async def test_an_answer_that_comes_within_the_grace_counts(raw: Place) -> None:
    await raw.says("echo")
    call = asyncio.create_task(
        raw.loop.run(lambda: raw.pool.call(ServerCall("late", {"text": "0.7"}, {}), "acme", lambda name: name), grace=5)
    )
    while "late 0.7" not in raw.done():
        await asyncio.sleep(0.01)
    call.cancel()
    assert (await call)["content"][0]["text"] == "late"


async def test_a_changed_tool_is_refused_and_another_one_is_not(raw: Place) -> None:
    assert await raw.says("change") == "changed"
    await asyncio.sleep(0.2)
    with pytest.raises(SchemaDriftError, match="`echo` of the server `raw` is not what it was"):
        await raw.call("echo")
    assert await raw.says("twice") == "first"
    assert "echo" not in raw.done()


async def test_a_quiet_change_is_found_by_age(raw: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await raw.says("change_quietly") == "changed"
    assert "stranger" not in await raw.says("echo")
    monkeypatch.setattr("backstay.adapters.mcp.pool.CHECKED_SECONDS", 0.0)
    with pytest.raises(SchemaDriftError):
        await raw.call("echo")


async def test_a_change_is_found_at_the_next_connection(raw: Place) -> None:
    raw.pool.pins = {**raw.pool.pins, "echo": "sha256:another", "vanished": "sha256:x"}
    with pytest.raises(SchemaDriftError):
        await raw.call("echo")
    with pytest.raises(SchemaDriftError, match="is not listed any more"):
        await raw.call("vanished")
    assert raw.done() == []


async def test_what_a_server_asks_of_us_is_refused(raw: Place) -> None:
    for tool in ("sample", "elicit"):
        assert json.loads(await raw.says(tool))["code"] in (-32600, -32601)


async def test_a_server_gets_its_named_secrets_and_nothing_else(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_TOKEN", "planted-4242")
    monkeypatch.setenv("OPENAI_API_KEY", "planted-key-4242")
    place = opened(env={"TOKEN": "secret:FILES_TOKEN", "MODE": "plain"})

    def read(name: str) -> str:
        return {"FILES_TOKEN": "the-token-of-files"}[name]

    await place.started(read)
    answer = await place.call("environment", read=read)
    seen = json.loads(answer["content"][0]["text"])
    assert (seen["TOKEN"], seen["MODE"], seen["TZ"]) == ("the-token-of-files", "plain", "UTC")
    assert seen["files"] == []
    assert seen["HOME"] != os.environ.get("HOME")
    assert not any("planted" in value for value in seen.values() if isinstance(value, str))
    assert set(seen) <= {
        "PATH",
        "HOME",
        "LANG",
        "TZ",
        "BOOK",
        "TOKEN",
        "MODE",
        "PWD",
        "SHLVL",
        "_",
        "LC_CTYPE",
        "cwd",
        "files",
    }


async def test_a_secret_that_is_missing_is_told_by_its_name(opened: Opened) -> None:
    def read(name: str) -> str:
        raise SecretError(f"this worker has no secret `{name}`")

    with pytest.raises(SecretError, match="FILES_TOKEN"):
        await opened(env={"TOKEN": "secret:FILES_TOKEN"}).started(read)


async def test_a_server_that_heeds_nothing_is_killed_with_its_children(opened: Opened) -> None:
    place = opened("--stays")
    await place.started()
    child = int(await place.says("child"))
    began = time.monotonic()
    await place.close()
    assert time.monotonic() - began < 8
    assert gone(child)


KILLED = """
import asyncio, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.integration.mcp.place import Place, raw_command
async def main():
    place = Place(Path({folder!r}), "--stays")
    await place.started()
    answer = await place.call("environment")
    print(place.pool.server.command[-1], flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def test_a_killed_worker_leaves_no_server_behind(tmp_path: Path) -> None:
    root = str(Path(__file__).resolve().parents[3])
    code = KILLED.format(root=root, folder=str(tmp_path))
    worker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=root)
    assert worker.stdout
    assert worker.stdout.readline().strip() == "--stays"
    [server] = children_of(worker.pid)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait(10)
    assert gone(server)


def children_of(pid: int) -> list[int]:
    """The processes of the raw server that a process started."""
    found: list[int] = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and RAW.name.encode() in (place / "cmdline").read_bytes():
                found.append(int(place.name))
        except OSError:
            continue
    return found


async def test_a_tool_that_nobody_listed_or_pinned_is_never_called(raw: Place) -> None:
    with pytest.raises(SchemaDriftError, match="is not listed"):
        await raw.says("nobody_knows_it")
    assert raw.done() == []
