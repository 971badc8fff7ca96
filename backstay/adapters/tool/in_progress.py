"""Which calls this process is executing just now, also those that the engine has given up for lost.

A thread goes on after its call has timed out, and so does a call that could not report because the server was away.
What it will have done is not known before it ends.
"""

import asyncio
import threading
from collections import Counter

_LOOK_AGAIN_SECONDS = 0.05


class AtWork:
    """The idempotency keys of the calls that are being executed; it can be asked from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: Counter[str] = Counter()

    def begin(self, key: str) -> None:
        """Counts a call in."""
        with self._lock:
            self._keys[key] += 1

    def end(self, key: str) -> None:
        """Counts it out; from here on, what it did is all that it will have done."""
        with self._lock:
            self._keys[key] -= 1
            if not self._keys[key]:
                del self._keys[key]

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    async def ended(self, key: str, seconds: float) -> bool:
        """Waits until no call of that key is executed here, for so long at most; whether it has come to that."""
        for _ in range(int(seconds / _LOOK_AGAIN_SECONDS)):
            if key not in self:
                return True
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        return key not in self
