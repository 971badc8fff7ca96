"""A worker that cannot serve ends the comparison with its own words instead of letting it wait for ever."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from backstay.client import BackstayClient
from backstay.compare.governed import governed_side
from backstay.errors import ConfigurationError


class Waiting(BackstayClient):
    """A client that nobody ever answers."""

    def __init__(self) -> None:
        """Connects to nothing."""

    async def start(self, *_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()


async def test_the_words_of_a_worker_that_cannot_serve_are_told(tmp_path: Path) -> None:
    environment = {**os.environ, "BACKSTAY_AGENTS": str(tmp_path / "nowhere"), "SHOP_BOOKS": str(tmp_path / "books")}
    async with governed_side(Waiting(), environment) as side:
        with pytest.raises(ConfigurationError, match="nowhere"):
            await side.play({"run-of-nobody": "do it"})
