"""Names what the tools of agents have in common beside their port: a place, for errors."""

from typing import Protocol

from backstay.ports import Tool


class PlacedTool(Tool, Protocol):
    """A tool that an agent's folder declares, as a function or through a server."""

    @property
    def where(self) -> str:
        """The file and line that declare it."""
        ...
