"""Follows the chain of a run's links back, and reads what each of them has recorded."""

from collections.abc import AsyncGenerator, Awaitable, Callable

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import ContinueAsNewInitiator
from temporalio.api.history.v1 import WorkflowExecutionStartedEventAttributes
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from backstay.contracts.history import RunRef
from backstay.contracts.status import Page
from backstay.errors import RunNotFoundError

_GONE = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT)

Ask = Callable[[RunRef, int], Awaitable[Page]]
"""Asks a link for the part that begins behind a number."""


def continues(started: WorkflowExecutionStartedEventAttributes) -> str | None:
    """Returns the run id of the link that continued as the one of this first event; None where none has."""
    by_itself = started.initiator == ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW
    return started.continued_execution_run_id or None if by_itself else None


async def link_before(client: Client, link: RunRef) -> RunRef | None:
    """Returns the link before another one; None before the first, and where Temporal has forgotten the link.

    Raises:
        RPCError: Temporal does not answer.
    """
    execution = WorkflowExecution(workflow_id=link.workflow_id, run_id=link.run_id)
    asked = GetWorkflowExecutionHistoryRequest(namespace=client.namespace, execution=execution, maximum_page_size=1)
    try:
        answer = await client.workflow_service.get_workflow_execution_history(asked, retry=True)
    except RPCError as error:
        if error.status in _GONE:
            return None
        raise
    before = continues(answer.history.events[0].workflow_execution_started_event_attributes)
    return RunRef(link.workflow_id, before) if before else None


async def pages(client: Client, link: RunRef, ask: Ask, after: int) -> AsyncGenerator[Page]:
    """Yields what a run has recorded behind a number, in order; what lies in earlier links is read there.

    What no link has any more that Temporal still keeps is left out: the first page then begins later.

    Args:
        client: the connection to Temporal.
        link: the link to read up to; without a run id whichever is the latest.
        ask: asks one link.
        after: the number of the last item that is not wanted.
    """
    at: int | None = after
    while at is not None:
        page = await ask(link, at)
        if page.first > at + 1:
            async for earlier in _earlier(client, link, ask, at, page.first - 1):
                yield earlier
        yield page
        at = page.next


async def _earlier(client: Client, link: RunRef, ask: Ask, after: int, until: int) -> AsyncGenerator[Page]:
    """Yields the parts that earlier links have, behind a number and up to another."""
    found: list[tuple[RunRef, Page]] = []
    before = await link_before(client, link)
    while before is not None:
        try:
            page = await ask(before, after)
        except RunNotFoundError:
            break
        found.append((before, page))
        before = await link_before(client, before) if page.first > after + 1 else None
    for place, first in reversed(found):
        page: Page | None = first
        while page is not None:
            yield Page(items=page.items[: max(0, until - page.first + 1)], first=page.first, next=None)
            page = None if page.next is None or page.next >= until else await ask(place, page.next)
