# pay.py
import asyncio

from backstay.client import BackstayClient
from backstay.contracts.run import RunRequest


async def main() -> None:
    client = await BackstayClient.connect()  # TEMPORAL_ADDRESS and its kin, as Temporal's own clients read them
    request = RunRequest(goal="pay invoice R7", agent="teller", requested_by="carol@example.com")
    run = await client.start(request, "invoice-R7")
    while not (waiting := (await run.status()).pending_approvals):
        await asyncio.sleep(0.5)
    await run.approve(waiting[0].approval_id, by="bob@example.com")
    result = await run.result()
    print(result.status, result.answer)


asyncio.run(main())
