"""Keeps a worker's copy of what the control plane has in force.

INVARIANT: the copy is as old as the moment in which it was asked for. One that is older than two seconds holds
everything but reads, because a stop may have come since.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from backstay.contracts import measures, names
from backstay.contracts.run import plain
from backstay.kernel.control import UNCONFIRMED, Block, Held, InForce, Stage
from backstay.kernel.scope import Subject
from backstay.telemetry.metrics import gauge

from .control_plane import Found, beginning, find
from .executions import RUNNING

OLDEST_SECONDS = 2.0
_EVERY_SECONDS = 1.0
_TOLD_EVERY_SECONDS = 0.5
_PATIENCE = timedelta(seconds=1)
_LONG_POLL = timedelta(seconds=30)
_WAITING = "so that effects and new decisions wait"
_CONFIRM = "look at `backstay control status`, then run `backstay control confirm --reason WHY`"
_LOG = logging.getLogger("backstay.control")


class ControlCopy:
    """Knows what is in force; `kept` keeps it up to date."""

    def __init__(self, client: Client) -> None:
        self._client = unencrypted(client)
        self._state: InForce | None = None
        self._asked_at = -OLDEST_SECONDS
        self._began_at = time.monotonic()
        self._woken = asyncio.Event()
        self._first = asyncio.Event()
        self._was_late = False
        self._told_age = gauge(client, measures.CONTROL_AGE)

    @property
    def age(self) -> float:
        """The seconds since the copy was asked for."""
        return time.monotonic() - self._asked_at

    @property
    def fresh(self) -> bool:
        """True while there is a copy that is at most two seconds old."""
        return self._state is not None and self.age <= OLDEST_SECONDS

    @property
    def trouble(self) -> str | None:
        """Says why everything but reads waits on this worker, whatever its run; None where it does not."""
        if self._state is None or not self.fresh:
            return f"its copy of the control plane is too old, {_WAITING}"
        return None if self._state.confirmed else f"{UNCONFIRMED}, {_WAITING}: {_CONFIRM}"

    def holds(self, stage: Stage, subject: Subject) -> Held | None:
        """Returns why a run may not go through a stage now; None where it may."""
        if self._state is not None and self.fresh:
            return self._state.holds(stage, subject)
        if stage is Stage.READS:
            return None if self._state is None else self._state.holds(stage, subject)
        return Held(None, f"this worker has not heard from the control plane for more than {OLDEST_SECONDS:g} seconds")

    def blocked(self, subject: Subject) -> Block | None:
        """Returns the block of a call; None where its tool may be called."""
        return None if self._state is None else self._state.blocked(subject)

    def at_once(self, tenant: str) -> int | None:
        """Returns how many runs of a tenant may go on at once; None where the control plane sets no limit."""
        return None if self._state is None else self._state.at_once(tenant)

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncGenerator[None]:
        """Keeps the copy up to date while the block runs; begins once there is one, or with none after two seconds."""
        # Beside each other: the age grows just where the asking hangs.
        keeping = [asyncio.create_task(self._keep()), asyncio.create_task(self._tell_age())]
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(OLDEST_SECONDS):
                    await self._first.wait()
            yield
        finally:
            for one in keeping:
                one.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)

    async def _keep(self) -> None:
        waking: asyncio.Task[None] | None = None
        try:
            while True:
                followed = await self._read()
                self._tell_if_late()
                if followed and (waking is None or waking.done()):
                    waking = asyncio.create_task(self._wake(followed))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_EVERY_SECONDS):
                        await self._woken.wait()
                self._woken.clear()
        finally:
            if waking is not None:
                waking.cancel()

    async def _tell_age(self) -> None:
        while True:
            self._told_age(self._lateness)
            await asyncio.sleep(_TOLD_EVERY_SECONDS)

    async def _read(self) -> str | None:
        """Asks for what is in force; returns the execution that was asked, None where there is none to follow."""
        asked_at = time.monotonic()
        try:
            found = await find(self._client, _PATIENCE)
        except RPCError:
            return None
        if found is None or found.execution.state != RUNNING:
            await self._start(found)
            return None
        if found.view is None:
            return None
        self._state, self._asked_at = found.view.state, asked_at
        self._first.set()
        return found.execution.run_id

    async def _start(self, before: Found | None) -> None:
        """Starts a control plane, unless somebody else was faster."""
        given, options = beginning(before)
        with contextlib.suppress(RPCError, WorkflowAlreadyStartedError):
            await self._client.start_workflow(names.CONTROL_PLANE, plain(given), rpc_timeout=_PATIENCE, **options)
            self._woken.set()

    async def _wake(self, run_id: str) -> None:
        """Wakes the reader with each event of the control plane, until its link ends."""
        handle: Any = self._client.get_workflow_handle(names.CONTROL_ID, run_id=run_id)
        with contextlib.suppress(RPCError):
            async for _ in handle.fetch_history_events(wait_new_event=True, rpc_timeout=_LONG_POLL):
                self._woken.set()
        self._woken.set()

    @property
    def _lateness(self) -> float:
        # A worker that has just begun to ask is not late yet.
        return min(self.age, time.monotonic() - self._began_at)

    def _tell_if_late(self) -> None:
        late = self._lateness > OLDEST_SECONDS
        if late and not self._was_late:
            _LOG.error("no copy of what is in force for %.0f s: effects and new decisions wait until there is one", 2)
        elif self._was_late and not late:
            _LOG.warning("what is in force is known again: effects and decisions go on")
        self._was_late = late


def unencrypted(client: Client) -> Client:
    """Returns a connection that reads and writes what every fleet of the namespace can, whatever its keys."""
    config = client.config()
    config["data_converter"] = replace(client.data_converter, payload_codec=None)
    return Client(**config)
