"""Implements the tool of all contenders, and counts its calls: so that nobody is fast by leaving steps out."""

_calls: list[int] = [0]


def file_one(text: str, size: int) -> str:
    """Returns the text, made as long as the load wants it."""
    _calls[0] += 1
    return text.ljust(size, ".")


def calls() -> int:
    """Returns how often this process has filed a card."""
    return _calls[0]
