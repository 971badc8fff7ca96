"""A process checks each workflow once, however many workers it has for the engine; one that fails is checked again."""

import pytest
from temporalio import workflow
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from backstay.adapters.engine.sandbox import LeanSandbox
from backstay.app.workflows import sandbox

Definition = workflow._Definition  # pyright: ignore[reportPrivateUsage]


@workflow.defn
class Waits:
    """A workflow of this test alone."""

    @workflow.run
    async def run(self) -> None:
        """Ends at once."""


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The workflows that were checked; the first check fails."""
    found: list[str] = []

    def check(_: object, defn: Definition) -> None:
        found.append(defn.name or "")
        if len(found) == 1:
            raise RuntimeError("it cannot be loaded")

    monkeypatch.setattr(SandboxedWorkflowRunner, "prepare_workflow", check)
    return found


def test_a_workflow_is_checked_once_and_again_where_it_failed_or_more_is_checked(checks: list[str]) -> None:
    waits = Definition.must_from_class(Waits)
    with pytest.raises(RuntimeError, match="cannot be loaded"):
        sandbox().prepare_workflow(waits)
    workers: list[LeanSandbox] = [sandbox(), sandbox(placed=True), sandbox()]
    for worker in workers:
        worker.prepare_workflow(waits)
    assert checks == ["Waits", "Waits"]
    sandbox(checked=True).prepare_workflow(waits)
    assert checks == ["Waits"] * 3
