"""Reads the lines that a person types on a terminal, without blocking the event loop."""

import asyncio
import os
import sys


class Typed:
    """The lines that arrive on standard input while a context is open; None once there are no more."""

    def __init__(self, number: int | None = None) -> None:
        self._number = sys.stdin.fileno() if number is None else number
        self._begun = b""
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()

    def __enter__(self) -> "Typed":
        asyncio.get_running_loop().add_reader(self._number, self._read)
        return self

    def __exit__(self, *error: object) -> None:
        asyncio.get_running_loop().remove_reader(self._number)

    async def line(self) -> str | None:
        """Waits for the next line; returns None if there are no more."""
        return await self._lines.get()

    def _read(self) -> None:
        try:
            found = os.read(self._number, 4096)
        except OSError:
            found = b""
        if not found:
            asyncio.get_running_loop().remove_reader(self._number)
            self._lines.put_nowait(None)
        *whole, self._begun = (self._begun + found).split(b"\n")
        for line in whole:
            self._lines.put_nowait(line.decode(errors="replace").strip())


def is_interactive() -> bool:
    """Tells whether a person sits at a terminal, who reads stderr and types on standard input."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
