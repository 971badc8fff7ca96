"""Tracks the calls that this process is executing, including those that Temporal has given up.

A thread keeps running after its call has timed out, and so does a call while the server is away. Its outcome is not
known before it ends.
"""

import asyncio
import threading
from collections import Counter

_LOOK_AGAIN_SECONDS = 0.05


class CallsInProgress:
    """The idempotency keys of the calls being executed, safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: Counter[str] = Counter()
        self._names: dict[str, str] = {}

    def begin(self, key: str, name: str = "") -> None:
        """Marks a call as started; `name` is what people know it by."""
        with self._lock:
            self._keys[key] += 1
            self._names[key] = name

    def end(self, key: str) -> None:
        """Marks the call as finished."""
        with self._lock:
            self._keys[key] -= 1
            if not self._keys[key]:
                del self._keys[key]
                del self._names[key]

    def names(self) -> list[str]:
        """Lists the calls being executed, as people know them."""
        with self._lock:
            return list(self._names.values())

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    async def ended(self, key: str, seconds: float) -> bool:
        """Waits until no call with that key is being executed here.

        Args:
            key: the idempotency key.
            seconds: the longest wait.

        Returns:
            False where a call is still being executed after that time.
        """
        for _ in range(int(seconds / _LOOK_AGAIN_SECONDS)):
            if key not in self:
                return True
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        return key not in self
