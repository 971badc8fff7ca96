"""Reads the names of functions that a model calls as names of tools."""

from collections.abc import Sequence
from dataclasses import replace

from backstay.contracts.admission import ToolSpec
from backstay.contracts.conversation import ModelReply


def named(reply: ModelReply, tools: Sequence[ToolSpec]) -> ModelReply:
    """Returns a reply in which each call has the name of its tool.

    A name is looked up and never taken apart: what no tool is shown as stays as the model wrote it, and is refused.

    Args:
        reply: as the server sent it, with the names that the model was shown.
        tools: those that it was offered.
    """
    tool_of = {tool.function: tool.name for tool in tools if tool.function is not None}
    decision = reply.decision
    if not tool_of or not decision.calls:
        return reply
    calls = [call.model_copy(update={"tool": tool_of.get(call.tool, call.tool)}) for call in decision.calls]
    return replace(reply, decision=decision.model_copy(update={"calls": calls}))
