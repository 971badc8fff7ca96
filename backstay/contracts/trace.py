"""A read-only hook for tracing the steps of a run."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from .status import RunStatusView


class Trace(Protocol):
    """A tracer of one run."""

    def step(self, status: Callable[[], RunStatusView]) -> AbstractContextManager[None]:
        """Wraps one turn of the loop; `status` returns where the run stands, before and after."""
        ...


class Untraced:
    """A tracer that records nothing."""

    def step(self, status: Callable[[], RunStatusView]) -> AbstractContextManager[None]:
        """Wraps a step without recording it."""
        return nullcontext()
