"""Defines the benchmark's trivial tool."""

from backstay.tools import tool
from benchmarks.card import file_one


@tool(effect="read")
async def file_card(number: int, text: str, size: int) -> str:
    """File a card."""
    return file_one(text, size)
