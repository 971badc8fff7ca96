"""A flood of messages takes no effect's result away: the effect continues as new before its history is full."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backstay.kernel import history

if TYPE_CHECKING:
    import pytest

    from tests.workflow.dedupe.conftest import Opener

REFUND = ("refund", {"order": "A17", "amount": 5})


async def test_an_effect_continues_as_new_and_keeps_its_result(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as shop:
        monkeypatch.setattr(history, "MOST_BYTES", 40_000)
        first = await shop.run(REFUND)
        [before] = await shop.effects()
        effect = shop.runtime.client.get_workflow_handle(before.id)
        await effect.signal("withdraw", {"x": "y" * 40_000})
        while (described := await effect.describe()).run_id == before.run_id:
            await asyncio.sleep(0.05)
        assert described.raw_description.workflow_execution_info.history_size_bytes < 40_000
        assert await shop.run(REFUND) == first
        assert len(shop.lines()) == 1
