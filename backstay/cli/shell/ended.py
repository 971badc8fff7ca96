"""Says how a run that takes no more messages closed."""

import contextlib

from backstay.adapters.engine.errors import in_our_words
from backstay.adapters.engine.executions import described
from backstay.client.ending import ending_of
from backstay.client.run import Run
from backstay.errors import CodecError, RunClosedError


async def check_open(run: Run) -> None:
    """Checks that a run has not closed, before a person reads what could be answered.

    Raises:
        RunClosedError: it has; says how.
        RunNotFoundError: there is no such run.
    """
    if not (await run.describe()).open:
        raise RunClosedError(run.run_id, await how_closed(run))


async def how_closed(run: Run) -> str:
    """Returns how a closed run ended, in a few words."""
    temporal = run.client.temporal
    with in_our_words(temporal, run.run_id):
        execution = await described(temporal, run.run_id)
    with contextlib.suppress(CodecError):  # without the key, Temporal's own word is known
        return (await ending_of(temporal, execution)).words
    return execution.state
