"""The workflow sandbox, less what it is entered for without need."""

from typing import Any

from temporalio.converter import StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner


class LeanSandbox(SandboxedWorkflowRunner):
    """The SDK's sandbox for a converter that treats every payload alike.

    For each payload of a workflow task the SDK asks the instance, inside its sandbox and several times over, whose
    payload it is: 25 times a step, a fifth of what a step costs a worker. Only a converter, a codec or an external
    store with a context of its own wants to know, and ours have none.
    """

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """A sandboxed instance, asked about payloads outside of its sandbox."""
        return _LeanInstance(super().create_instance(det))


class _LeanInstance(WorkflowInstance):
    def __init__(self, sandboxed: WorkflowInstance) -> None:
        self._sandboxed = sandboxed

    def activate(self, act: Any) -> Any:
        return self._sandboxed.activate(act)

    def get_serialization_context(self, command_info: Any) -> None:
        return None

    def get_external_store_context(self, command_info: Any) -> StorageDriverStoreContext:
        return StorageDriverStoreContext(target=None)

    def get_info(self) -> Any:
        return self._sandboxed.get_info()

    def get_thread_id(self) -> int | None:
        return self._sandboxed.get_thread_id()
