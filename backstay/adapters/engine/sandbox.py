"""Speeds up the workflow sandbox by entering it less often."""

from typing import Any

from temporalio import workflow
from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

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


class _LeanInstance(WorkflowInstance):
    """A sandboxed instance that names the places of payloads from outside its sandbox, or names none."""

    def __init__(self, sandboxed: Any, placed: bool) -> None:
        self._sandboxed = sandboxed
        self._placed = placed

    def activate(self, act: Any) -> Any:
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
