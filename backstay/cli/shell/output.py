"""Chooses how a command writes its data. Loads nothing, because every command loads it."""

from enum import StrEnum


class Output(StrEnum):
    """Chooses how a command writes its data."""

    TABLE = "table"
    JSON = "json"
