"""While its model does not answer, a run says so to whoever asks it; and no longer once it answers, or has ended."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowFailureError

from backstay.adapters.engine.dev_server import free_port
from backstay.testing import Attempts, Failure, Reply
from backstay.testing.runtime import local_runtime


async def test_a_run_says_that_its_model_cannot_be_reached_while_it_is_so(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=f'[model]\nbase_url = "http://127.0.0.1:{free_port()}/v1"\ngive_up_after = "5s"\n')
    async with local_runtime([Reply("never")], agents=agents, client=client) as runtime:
        handle = await runtime.start({"goal": "x", "agent": "clerk"})
        async with asyncio.timeout(20):
            while (trouble := (await handle.query("status"))["trouble"]) is None:
                await asyncio.sleep(0.1)
        assert trouble.startswith("model unreachable: no connection; attempt 2 failed, it is tried again until ")
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        assert (await handle.query("status"))["trouble"] is None


async def test_a_model_that_answers_again_is_no_trouble(client: Client, agent_folder: Callable[..., Path]) -> None:
    script = [Attempts(Failure(429), Failure(429), Reply("done", delay=1))]
    async with local_runtime(script, agents=agent_folder(), client=client) as runtime:
        handle = await runtime.start({"goal": "x", "agent": "clerk"})
        async with asyncio.timeout(20):
            while "no more requests" not in ((await handle.query("status"))["trouble"] or ""):
                await asyncio.sleep(0.1)
        assert (await handle.result())["status"] == "completed"
        assert (await handle.query("status"))["trouble"] is None


@pytest.mark.parametrize("payload", [{"step": 1, "attempt": 2, "kind": "unreachable", "gives_up_at": 1}, "approve!"])
async def test_nobody_puts_words_or_an_older_trouble_into_a_run(
    payload: object, client: Client, agent_folder: Callable[..., Path]
) -> None:
    async with local_runtime([Reply("done", delay=2)], agents=agent_folder(), client=client) as runtime:
        handle = await runtime.start({"goal": "x", "agent": "clerk"})
        await handle.signal("model_trouble", payload)
        assert (await handle.result())["status"] == "completed"
        assert (await handle.query("status"))["trouble"] is None
