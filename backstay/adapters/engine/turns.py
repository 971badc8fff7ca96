"""Spaces the calls of an account out, where the server lets several through at once.

The server holds the rate of a queue in partitions, each for itself: it may let four calls through in one moment, and
none for the next four seconds. A provider that counts by the second would refuse some of them.
"""

import asyncio
import time
from dataclasses import dataclass, field

from temporalio.client import Client
from temporalio.service import RPCError

from backstay.kernel.quota import PER_REQUEST

from .rates import queue_rate

READ_EVERY_SECONDS = 5.0
LONGEST_SECONDS = 10.0
"""A call waits no longer than this: its attempt has a time limit."""
_CLOSER = 0.97
"""A part of the gap between two calls, so that what waits here after a burst grows less."""


@dataclass(slots=True)
class _Account:
    """The gap between two calls in seconds, when it was read, and the moment of the last call."""

    gap: float = 0.0
    read_at: float = float("-inf")
    last: float = float("-inf")
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class Turns:
    """The turns of the calls of accounts in this process, as far apart as the rates that the server holds."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._accounts: dict[str, _Account] = {}

    async def take(self, account: str) -> None:
        """Waits for the next turn of an account, ten seconds at most; not at all where no rate is known."""
        known = self._accounts.setdefault(account, _Account())
        async with known.reading:  # what comes together waits together for the gap
            if time.monotonic() >= known.read_at + READ_EVERY_SECONDS:
                known.gap = await self._gap(account, known.gap)
                known.read_at = time.monotonic()
        now = time.monotonic()
        known.last = at = min(max(now, known.last + known.gap), now + LONGEST_SECONDS)
        await asyncio.sleep(at - now)

    async def _gap(self, account: str, before: float) -> float:
        try:
            rate = (await queue_rate(self._client, account)).paced.rate
        except RPCError:
            return before
        return 60 * PER_REQUEST / rate * _CLOSER if rate else 0.0
