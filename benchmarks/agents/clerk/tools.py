"""Defines the benchmark's trivial tool."""

from backstay.tools import tool


@tool(effect="read")
async def file_card(number: int, text: str) -> str:
    """File a card."""
    return text
