"""Lines are read from a terminal as they are typed, and an end of input is no line."""

import os

from backstay.cli.shell.typed import Typed


async def test_lines_arrive_whole_and_the_end_is_none() -> None:
    reads, writes = os.pipe()
    with Typed(reads) as typed:
        os.write(writes, b"ye")
        os.write(writes, "s\n n\u00f6 \n".encode())
        assert [await typed.line(), await typed.line()] == ["yes", "n\u00f6"]
        os.close(writes)
        assert await typed.line() is None
    os.close(reads)
