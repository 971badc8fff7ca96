"""An activity is handed straight to the worker that asks for it, unless any worker may take it."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from temporalio.worker import StartActivityInput, WorkflowOutboundInterceptor

from workflows import elsewhere


@dataclass
class Engine:
    """Keeps what the engine is asked for."""

    asked: list[bool] = field(default_factory=list[bool])

    def start_activity(self, input: StartActivityInput) -> Any:
        self.asked.append(input.disable_eager_execution)


def asked(task_queue: str | None) -> StartActivityInput:
    given: dict[str, Any] = dict.fromkeys(StartActivityInput.__dataclass_fields__)
    return StartActivityInput(**{**given, "task_queue": task_queue, "disable_eager_execution": False})


@pytest.mark.parametrize(
    ("task_queue", "any_worker", "handed_on"),
    [(None, False, True), (None, True, False), ("model-main", False, False), ("model-main", True, False)],
)
def test_what_has_a_queue_of_its_own_never_slips_past_its_rate(
    task_queue: str | None, any_worker: bool, handed_on: bool
) -> None:
    engine = Engine()
    outbound = elsewhere._Outbound(cast("WorkflowOutboundInterceptor", engine))  # pyright: ignore[reportPrivateUsage]
    token = elsewhere.ELSEWHERE.set(any_worker)
    outbound.start_activity(asked(task_queue))
    elsewhere.ELSEWHERE.reset(token)
    assert engine.asked == [not handed_on]
