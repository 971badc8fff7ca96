"""Commands as processes of their own, against the runtime of a test."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable

from backstay.testing.runtime import LocalRuntime

Command = Callable[..., Awaitable[tuple[int | None, str, str]]]
"""Runs a command; returns its exit code and what it wrote to stdout and stderr."""


def command_of(runtime: LocalRuntime, **environment: str) -> Command:
    """Returns a command that finds the runtime's server and task queue; `environment` are more variables."""
    known = {
        **os.environ,
        "TEMPORAL_ADDRESS": runtime.client.service_client.config.target_host,
        "BACKSTAY_TASK_QUEUE": runtime.settings.task_queue,
        **environment,
    }

    async def command(*words: str) -> tuple[int | None, str, str]:
        given = (sys.executable, "-m", "backstay", *words)
        process = await asyncio.create_subprocess_exec(*given, stdout=PIPE, stderr=PIPE, env=known)
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    return command
