"""The ports that tell people and runs what happens meanwhile."""

from collections.abc import Mapping
from typing import Any, Protocol

from backstay.contracts.history import RunRef
from backstay.contracts.trouble import ModelTrouble


class Notifier(Protocol):
    """The channel that announces approvals to people."""

    async def send(self, agent: str, message: Mapping[str, Any]) -> None:
        """Sends a message to the place where an agent's approvals are announced; raises where it was not taken."""
        ...


class Alarms(Protocol):
    """The way to tell a run what one of its activities finds out before it ends."""

    def model_fails(self, run: RunRef, trouble: ModelTrouble) -> None:
        """Begins to tell a run of an attempt that its model failed; neither waits nor raises."""
