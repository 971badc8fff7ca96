"""Speeds up the workflow sandbox by entering it less often, and keeps it from running ahead of the history."""

from collections import OrderedDict
from typing import Any, ClassVar

from temporalio import workflow
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from backstay.contracts import names

_REMEMBERED = 1_000

_CHECKED: set[tuple[type, frozenset[str]]] = set()
"""The workflows that were checked, each with the modules that the sandbox lets through."""


class LeanSandbox(SandboxedWorkflowRunner):
    """The SDK's sandbox, for workflows that the SDK need not enter to learn where a payload belongs.

    For each payload the SDK asks the workflow instance, inside its sandbox, for a serialization context: 25 times a
    step, a fifth of the worker's time. The answer is given outside, and only where a codec binds payloads to places.
    """

    placed = False
    """True where payloads are bound to their places."""

    def prepare_workflow(self, defn: workflow._Definition) -> None:  # pyright: ignore[reportPrivateUsage]
        """Checks a workflow, once in a process: it has several workers for the engine, and each would check it anew."""
        checked = (defn.cls, frozenset(self.restrictions.passthrough_modules))
        if checked not in _CHECKED:
            super().prepare_workflow(defn)
            _CHECKED.add(checked)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Returns a sandboxed instance that answers questions about payloads outside its sandbox."""
        return _LeanInstance(super().create_instance(det), self.placed)


class Ahead:
    """Finds out that an instance has seen events which no task of its workflow had brought.

    A query that waits for a lost worker comes to the next one with the whole history, and the engine's client plays all
    of it to the workflow, also what happened after its last task. What it answers then is not so yet; and kept in
    memory, it would go on from there, while a replay sees these events together with those of the task that comes
    later, in another order: its history could never be replayed again.

    Each task has a time of its own, and events that came with none have that of the task before. A query that finds
    such an instance is refused, and the instance is dropped with that. A workflow that has closed gets no further task:
    its second query is answered.
    """

    refused: ClassVar[OrderedDict[str, None]] = OrderedDict()
    """The latest runs in this process of which a query was refused."""

    def __init__(self) -> None:
        self._length = 0
        self._at: tuple[int, int] | None = None
        self._suspected = False
        self._spoilt = False

    def refuses(self, act: WorkflowActivation) -> bool:
        """Tells whether an activation is not for an instance that has run ahead; takes down each of them."""
        kinds = {job.WhichOneof("variant") for job in act.jobs}
        if "remove_from_cache" in kinds:
            return False
        if kinds == {"query_workflow"}:
            return self._suspected and self._refuses_query(act.run_id)
        at = (act.timestamp.seconds, act.timestamp.nanos)
        self._suspected = act.history_length > self._length and at == self._at
        self._length, self._at = act.history_length, at
        return self._spoilt

    def _refuses_query(self, run_id: str) -> bool:
        if run_id in self.refused:
            self._spoilt = True  # should it not have closed, its next task builds it anew
            return False
        self.refused[run_id] = None
        while len(self.refused) > _REMEMBERED:
            self.refused.popitem(last=False)
        return True


class _LeanInstance(WorkflowInstance):
    """A sandboxed instance that names the places of payloads from outside its sandbox, or names none."""

    def __init__(self, sandboxed: Any, placed: bool) -> None:
        self._sandboxed = sandboxed
        self._placed = placed
        self._ahead = Ahead()

    def activate(self, act: Any) -> Any:
        """Lets the workflow go on; what comes to one that has run ahead is refused, and drops it."""
        if self._ahead.refuses(act):
            refused = WorkflowActivationCompletion(run_id=act.run_id)
            refused.failed.failure.message = names.ASK_AGAIN
            return refused
        return self._sandboxed.activate(act)

    def get_serialization_context(self, command_info: Any) -> SerializationContext | None:
        if not self._placed:
            return None
        inside = self._sandboxed.globals_and_locals["__temporal_in_sandbox"]
        return inside.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> StorageDriverStoreContext:
        return StorageDriverStoreContext(target=None)

    def get_info(self) -> Any:
        return self._sandboxed.get_info()

    def get_thread_id(self) -> int | None:
        return self._sandboxed.get_thread_id()
