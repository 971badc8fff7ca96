"""The facts about the MCP servers of a run."""

from dataclasses import dataclass

from .event import Event


@dataclass(frozen=True, slots=True)
class ServerChanged(Event):
    """The server of a tool gives itself another name or version than when it was pinned; the tool is the same.

    Nobody can see whether it does the same: that it may not stands here, and stops nothing.
    """

    call_id: str
    tool: str
    was: str
    now: str
