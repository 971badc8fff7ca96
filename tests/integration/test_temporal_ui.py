"""A person who has nothing but Temporal's own UI understands a run there, answers it and ends it: in a real browser.

`BACKSTAY_SCREENSHOTS` names a folder for pictures of the pages, as the docs show them.
"""

import asyncio
import os
import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from playwright.async_api import Locator, Page, async_playwright
from temporalio.client import WorkflowFailureError, WorkflowHandle

from backstay.adapters.engine.dev_server import dev_server
from backstay.adapters.engine.search_attributes import register
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime
from tests.integration.browser import FLAGS, browser

TOOLS = '''
from decimal import Decimal
from pathlib import Path
from backstay.tools import tool

@tool(effect="read")
def lookup_order(order_id: str) -> dict:
    """Looks up an order."""
    return {"order_id": order_id, "total": "240.00"}

@tool(effect="write")
def issue_refund(order_id: str, amount: Decimal, reason: str) -> str:
    """Refunds an order."""
    with Path(__file__).with_name("refunds.txt").open("a") as file:
        file.write(f"{order_id} {amount}\\n")
    return f"refunded {amount} USD of {order_id}"
'''
ASKS = """
[approval]
require = { issue_refund = "finance" }
groups = { finance = ["alice@example.com", "bob@example.com"] }
"""
GOAL = "Refund 120 USD of order A17: a lace of the boots was torn."
REFUND = {"order_id": "A17", "amount": "120.00", "reason": "torn lace"}
SCRIPT = [
    Reply(calls=[Call("lookup_order", {"order_id": "A17"})]),
    Reply(calls=[Call("issue_refund", REFUND)]),
    Reply("Refunded 120.00 USD of order A17 for the torn lace. Nothing is open."),
]
PATIENCE = 30_000.0


@dataclass(frozen=True, slots=True)
class Inspector:
    """A browser at Temporal's UI, and a runtime whose runs it shows."""

    page: Page
    ui: str
    runtime: LocalRuntime
    refunds: Path

    async def started(self, run_id: str, request: dict[str, Any]) -> WorkflowHandle[Any, Any]:
        """A run that asks for a refund, once it waits for people."""
        handle = await self.runtime.start(request, run_id)
        while (await handle.query("status"))["state"] != "waiting_approval":
            await asyncio.sleep(0.1)
        return handle

    async def opens(self, run_id: str) -> None:
        """Opens a run's page at its timeline."""
        await self.page.goto(f"{self.ui}/namespaces/default/workflows/{run_id}")
        await self.page.get_by_role("heading", name="Timeline", exact=True).wait_for()

    async def details(self) -> Locator:
        """The current details, which the UI renders in a frame of its own."""
        await self.page.get_by_text("User Metadata", exact=True).first.click()
        body = self.page.frame_locator("iframe").last.locator("body")
        await body.get_by_text("Goal:").wait_for()
        return body

    async def sends(self, signal: str, data: str) -> None:
        """Sends a signal by the UI's own dialog, as its page says."""
        await self.page.get_by_role("button", name="More Actions").click()
        await self.page.get_by_role("menuitem", name="Send a Signal").click()
        dialog = self.page.get_by_role("dialog")
        await dialog.get_by_test_id("signal-select-button").click()
        await dialog.get_by_role("option").filter(has_text=re.compile(rf"^\s*{signal}\b")).click()
        await dialog.get_by_role("textbox", name="Data").click()
        await self.page.keyboard.insert_text(data)
        await self.pictured(f"send-{signal}")
        await dialog.get_by_role("button", name="Submit").click()
        await dialog.wait_for(state="hidden")

    async def pictured(self, name: str) -> None:
        """Keeps a picture of what the browser shows, where somebody wants it."""
        if folder := os.environ.get("BACKSTAY_SCREENSHOTS"):
            await self.page.wait_for_timeout(700)
            await self.page.screenshot(path=Path(folder, f"{name}.png"))


@pytest.fixture
async def inspector(agent_folder: Callable[..., Path]) -> AsyncGenerator[Inspector]:
    program, agents = browser(), agent_folder("support", ASKS, TOOLS)
    with TemporaryDirectory() as profile:
        async with dev_server(ui=True) as server, async_playwright() as playwright:
            await register(server.client, mend="-")
            context = await playwright.chromium.launch_persistent_context(
                profile, executable_path=program, args=FLAGS, headless=True, viewport={"width": 1400, "height": 1000}
            )
            context.set_default_timeout(PATIENCE)
            async with local_runtime(SCRIPT, agents=agents, client=server.client, task_queue="agents") as runtime:
                refunds = agents / "support" / "refunds.txt"
                yield Inspector(context.pages[0], server.ui or "", runtime, refunds)
            await context.close()


@pytest.mark.timeout(300)
async def test_a_waiting_run_is_understood_answered_and_killed_in_temporals_own_ui(inspector: Inspector) -> None:
    request = {"goal": GOAL, "agent": "support", "tenant": "acme", "requested_by": "ann@example.com"}
    waits = await inspector.started("refund-A17", request)
    await inspector.opens("refund-A17")
    timeline = inspector.page.get_by_text
    await timeline("step 1 · lookup_order(order_id='A17') · allowed").first.wait_for()
    await timeline("issue_refund waits for approval").first.wait_for()
    assert await timeline("decide · ").count() == 0  # the UI names the activity itself: no word stands twice
    await inspector.pictured("timeline")

    details = await inspector.details()
    text = await details.inner_text()
    for part in (GOAL, "waiting for approval · step 2", "alice@example.com, bob@example.com", "needs approval"):
        assert part in text
    await inspector.pictured("details")
    [data] = [one for one in await details.locator("pre").all_inner_texts() if "approval_id" in one]

    await inspector.sends("approve", data.replace("you@example.com", "alice@example.com"))
    result = await asyncio.wait_for(waits.result(), 30)
    assert (result["status"], inspector.refunds.read_text()) == ("completed", "A17 120.00\n")
    assert list(result)[:3] == ["answer", "status", "stop_reason"]

    await inspector.opens("refund-A17")
    details = await inspector.details()
    text = await details.inner_text()
    assert "State: completed" in text
    assert "Nothing is open." in text
    assert "Stop it" not in text
    await inspector.pictured("closed")

    killed = await inspector.started("refund-A18", request)
    await inspector.opens("refund-A18")
    details = await inspector.details()
    [data] = [one for one in await details.locator("pre").all_inner_texts() if '"reason"' in one]
    await inspector.sends("kill", data)
    result = await asyncio.wait_for(killed.result(), 30)
    assert (result["stop_reason"], inspector.refunds.read_text()) == ("killed", "A17 120.00\n")


@pytest.mark.timeout(300)
async def test_a_refused_input_is_told_without_a_stack_of_ours(inspector: Inspector) -> None:
    refused = await inspector.runtime.start({"goal": 5}, "refused")
    with pytest.raises(WorkflowFailureError):
        await refused.result()
    await inspector.opens("refused")
    page = inspector.page.locator("body")
    await page.get_by_text("input should be a valid string").first.wait_for()
    await inspector.pictured("refused")
    assert "agent_run.py" not in await page.inner_text()
