"""Takes the thoughts of a model out of the text of its reply, where a server left them in."""

import re

_WORD = (
    r"(?:\w+:)?(?:(?:ant)?think(?:ing)?|thoughts?|reasoning|reflection|analysis|scratchpad|inner_monologue"
    r"|chain_of_thought)"
)
_OPEN = (
    rf"<\|?{_WORD}(?:\s+\w+=[^<>]*)?\|?>|<\|think_start\|>|<unused94>(?:thought)?"
    r"|<\|begin_of_thought\|>|<\|START_THINKING\|>|\[THINK\]|◁think▷"
)
_SHUT = re.compile(
    rf"</{_WORD}>|<\|/{_WORD}\|>|<\|think_end\|>|<unused95>"
    r"|<\|end_of_thought\|>|<\|END_THINKING\|>|\[/THINK\]|◁/think▷",
    re.IGNORECASE,
)
# Text in code is left as it is, because an answer may explain such tags.
_EDGE = re.compile(
    rf"(?P<code>```.*?```|`[^`\n]*`)|(?P<open>{_OPEN})|(?P<shut>{_SHUT.pattern})", re.DOTALL | re.IGNORECASE
)
# The channels of the gpt-oss models: `<|start|>assistant<|channel|>analysis<|message|>...<|end|>`.
_MESSAGE = re.compile(r"<\|(?:start|end|return)\|>(?:assistant\b)?|(?=<\|channel\|>)")
_CHANNEL = re.compile(r"\s*<\|channel\|>(?P<name>\w+)\s*(?:<\|constrain\|>\s*\w+\s*)?<\|message\|>")


def without_thoughts(text: str) -> str:
    """Returns the text without blocks of thought, also without those that lack their beginning or their end."""
    spoken = _outside(_spoken(text))
    return text if spoken == text else spoken.strip()


def _outside(spoken: str) -> str:
    kept: list[str] = []
    at, shut = 0, True
    while edge := _EDGE.search(spoken, at):
        before, at = spoken[at : edge.start()], edge.end()
        if edge["shut"]:
            kept.clear()  # all before it was thought
            continue
        kept.append(before)
        if edge["code"]:
            kept.append(edge["code"])
            continue
        end = _SHUT.search(spoken, at) if shut else None
        shut = end is not None
        if end is not None:
            at = end.end()
        elif not before.rpartition("\n")[2].strip():
            return "".join(kept)
        else:
            kept.append(edge["open"])
    return "".join([*kept, spoken[at:]])


def _spoken(text: str) -> str:
    """Returns a text of several channels without the one for thoughts; a call in another channel keeps its header."""
    if "<|channel|>" not in text:
        return text
    said: list[str] = []
    for message in _MESSAGE.split(text):
        channel = _CHANNEL.match(message)
        if channel is None:
            said.append("" if message.lstrip().startswith("<|channel|>analysis") else message)
        elif channel["name"] != "analysis":
            said.append(message[channel.end() :])
    return "\n\n".join(part.strip() for part in said if part.strip())
