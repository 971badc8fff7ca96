"""How a run lets others follow its steps. Whoever follows sees; what happens does not depend on it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from .status import RunStatusView


class Trace(Protocol):
    """Follows one run."""

    def step(self, status: Callable[[], RunStatusView]) -> AbstractContextManager[None]:
        """Goes around one turn of the loop; `status` says where the run stands, before and after."""
        ...


class Untraced:
    """Follows nothing."""

    def step(self, status: Callable[[], RunStatusView]) -> AbstractContextManager[None]:
        """Does nothing around the step."""
        return nullcontext()
