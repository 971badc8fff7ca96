"""Starts, lists and answers runs from any process.

    from backstay.client import BackstayClient
    from backstay.contracts.run import RunRequest

    client = await BackstayClient.connect()
    run = await client.start(RunRequest(goal="Where is order A18?", agent="support"), run_id="ticket-4711")
    result = await run.result()

`BackstayClient` starts runs and speaks to them; `Run` is its handle of one run. `connect` opens a plain Temporal client
with Backstay's data converter, for an application that needs other options: `BackstayClient(await connect(...))`.
"""

from .client import BackstayClient as BackstayClient
from .connection import connect as connect
from .run import Run as Run
