"""Finds calls that a model wrote as text, in the markups that models use: no user may get one as the answer.

A marker and the name of an offered tool right behind it are a call, whatever follows. A tool that is only mentioned in
words is none.
"""

import html
import itertools
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

from .arguments import NAMES as ARGUMENT_NAMES
from .tool_names import ToolNames

_REACH = 300
_MOST_MARKERS = 1_000
_MOST_OBJECTS = 50
_MOST_VALUES = 20_000
"""The most values that a text is searched for a call in: a worker does nothing else meanwhile."""
_DEEPEST = 8
_MOST_LINES = 6

# Keys in small letters without underscores, as they are compared.
_NAME_KEYS = (
    *("name", "tool", "toolname", "function", "functionname", "action", "recipientname", "command", "method", "api"),
    "apiname",
)
_ARGUMENT_KEYS = frozenset(name.replace("_", "").casefold() for name in ARGUMENT_NAMES) | {
    *("toolargs", "toolarguments", "toolparameters", "functionarguments", "functionparameters", "apiparameters")
}
_WRAPPERS = frozenset(
    ("function", "action", "actions", "tool", "tools", "toolcall", "toolcalls", "tooluse", "tooluses", "call", "calls")
) | {"functioncall", "functioncalls", "command", "commands", "params"}

# Code in another language is an example, and so is what stands between single backticks, except for a mere name.
_EXAMPLE = re.compile(
    r"```(?!json|tool|function|xml|call)[\w+-]+\n.*?(?:```|\Z)|(?<!`)`(?![\w.-]+`)[^`\n]+`(?!`)", re.DOTALL
)
_WRAPPED = re.compile(
    r"\s*(?:```[\w+-]*\n(?P<fenced>.*?)```|`(?P<quoted>[^`\n]+)`"
    r"|<(?P<tag>execute|code|call|python|ipython|py|jupyter_code|tool_code)>(?P<tagged>.*?)(?:</(?P=tag)>)?)\s*\Z",
    re.DOTALL,
)
# What templates put around a message, where a server has not taken it away.
_TOKENS = re.compile(
    r"<[|｜][^<>|｜\s]{1,40}[|｜]>|</?s>|<(?:end_of_turn|start_of_turn|bot_end|human_end|end_code|eos|bos)>"
)
_UNSEEN = re.compile("[\ufeff\u200b-\u200d\u2060]")
_MARKER = re.compile(
    r"<[^<>\s]{0,40}?(?:tool|function|invoke|python_tag|plugin|action_start|call\b)\w*"
    r"|\[(?:tool|function)[_ ](?:call|request|use)s?\b"
    r"|```(?:tool|function|call)\w*"
    r"|^\s*tool_code\b|\bdefault_api\.|\bto=(?=functions\.)|(?:assistant|commentary|analysis|\|>)\s*to=(?=\w)"
    r"|\btool_calls? in\b|✿FUNCTION✿|<\|recipient\|>",
    re.IGNORECASE,
)
# No answer begins with these, whichever tool they name.
_ONLY_CALLS = re.compile(
    r"\s*(?:<[|｜][^<>|｜]*(?:tool|function|python_tag|plugin|action_start)|\[TOOL_CALLS?\]|<start_function_call>"
    r"|<function=\w|<function_calls>|<tool_calls?>\s*[{\[<]|<invoke name=|<\|channel\|>\w+ to=)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d][\w-]*|\d\w*")
# Words that belong to the markup, between the marker and the name.
_STRUCTURE = re.compile(
    r"\w*(?:tool|function|call|invoke|name)\w*|\w*\d\w*|default_api|api|type|id|begin|section|sep|start|print|json|xml|"
    r"python|py|code|assistant|commentary|analysis|constrain|message|recipient|await|result|response",
    re.IGNORECASE,
)
# A step of ReAct (`Action: NAME`, then `Action Input: ...`), or a label before a call.
_STEP = re.compile(
    r"^[ \t*#>-]*(?:using )?(?:action|tool|function|call)(?:[ _](?:name|call))?[ *]*:[ *`]*"
    r"(?P<name>[\w./-]+(?::[\w./-]+)*)"
    r"(?:[({\[]|,? action[ _]input *:| with *[{\[]|(?::[^\n]{0,300})?\s{0,20}\nPAUSE\b"
    r"|[ *`()]*\r?\n\s{0,20}[*#>-]*(?:(?:(?:action|tool|function)[ _])?(?:input|arg|param)\w*|observation)[ *]*:)",
    re.IGNORECASE | re.MULTILINE,
)
_ARGUED = r"\(\s*(?:\)|\w+\s*=(?!=)|[{\[\"'\d-])"
_APPLIED = re.compile(
    r"\s*(?:>>>\s*|[-*][ \t]+|[0-9]+[.)][ \t]+)?(?:\[\s*)?(?:(?i:call): ?)?"
    r"(?:(?:print|return)\(\s*|await\s+|\w+\s*=\s*)*(?P<name>[\w.:/-]+)\s*"
    rf"(?:(?={_ARGUED})\(|\{{).*[)}}][\s\];,]*\Z",
    re.DOTALL,
)
_BRACKET = re.compile(r"\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+'|[()]", re.DOTALL)
_IN_WORDS = re.compile(r"[ \t]+[^\W\d_]")
_STATEMENT = re.compile(
    rf"^[ \t]*(?:print\([ \t]*|await[ \t]+|\w+[ \t]*=[ \t]*)*(?P<name>[\w.]+){_ARGUED}", re.MULTILINE
)
_LISTED = re.compile(rf"^[ \t]*\[(?P<name>[\w.]+){_ARGUED}[^\n]*\][ \t]*$", re.MULTILINE)
_ELEMENT = re.compile(r"\s*<(?P<name>[\w.-]+)(?:\s[^<>]*)?(?:/>|>.*</(?P=name)>)\s*\Z", re.DOTALL)
_NESTED = re.compile(r"<(?P<name>[\w.-]+)>\s{0,20}<(?P<child>\w+)>[^<]*</(?P=child)>")
# A name in a markup that has lost the marker before it.
_BARE = re.compile(
    r"(?<![\w.-])(?P<name>[\w.-]{1,64})(?:\s*(?:\[CALL_ID\]\w{0,64})?\[ARGS\]|\s*<arg_key>|:\d+\s*\{)"
    r"|<(?:action|tool|command|call|function)(?:_name)?>\s*(?P<tagged>[\w.-]{1,64})\s*</"
)
_OBJECT = re.compile(r"[\[{]")
_BEGINS = re.compile(r"(?:^|>|\]|✿:|functools|```\w{0,40})[ \t]{0,40}\Z", re.MULTILINE)
_IN_SENTENCE = re.compile(r"[.,;:!?]|[ \t]+(?:is|was|were|means|returned|gave)\b")
_CALLING = re.compile(
    r"^[ \t]*\[?(?:calling|invoking|using|running)(?: the)?(?: tool| function)?:? [`\"*]{0,3}(?P<name>[\w./-]+)"
    r"[`\"*]{0,3}(?: with(?: \w{1,20})?)?:? ?[({]",
    re.IGNORECASE | re.MULTILINE,
)
# Code that an agent of another framework would run, and where it ends.
_CODE = re.compile(r"^[ \t*#]*code[ *]*:[ *]*\s{0,20}```\w*\n|^[ \t]*<code>\s{0,20}", re.IGNORECASE | re.MULTILINE)
_CODE_END = re.compile(r"```|</code>|\Z")
_SPELLED = re.compile(
    r"(?<!\w)[\"']?(?P<key>[A-Za-z_]{2,30})[\"']?\s{0,20}(?::|=>)\s{0,20}(?:[\"'](?P<value>[\w.:/-]{1,200})[\"'])?"
)
# The name before an object, in a fence or not; whether that is a call, the tool's parameters tell.
_HEADED = re.compile(
    r"[\s*#`\[]*(?P<name>[\w.:/-]+)[*`: \t]*"
    r"(?:\s{0,20}```\w*\n(?P<fenced>\s*\{.*\})\s*```|\s{0,20}(?P<object>\{.*\}))[\s\]]*\Z",
    re.DOTALL,
)
_DECODER = json.JSONDecoder()
_ROLE = re.compile(r"\s*(?:assistant|output|response|json):?\s*(?=[{\[])", re.IGNORECASE)
_THOUGHTS = frozenset(
    ("thought", "thoughts", "thinking", "reasoning", "rationale", "explanation", "plan", "reflection")
)


def spells_call(text: str, tools: Collection[str], parameters: Mapping[str, Collection[str]] | None = None) -> bool:
    """Tells whether a text spells out a call.

    Args:
        text: what the model wrote.
        tools: the names of the tools it may call.
        parameters: the names of each tool's parameters; by them an object is known that has arguments beside its name.
    """
    if _ONLY_CALLS.match(text):
        return True
    text = _said(_UNSEEN.sub("", html.unescape(text) if "&lt;" in text else text))
    names = ToolNames.of(tools)
    plain = _TOKENS.sub("", text)
    wrapped = _WRAPPED.match(plain)
    inner = (wrapped["fenced"] or wrapped["quoted"] or wrapped["tagged"] or "") if wrapped else ""
    if _is_applied(inner or plain, names) or _is_object(inner or plain, names, parameters or {}):
        return True
    if inner and (
        any(_names_tool(pattern, inner, names) for pattern in (_STATEMENT, _STEP)) or _is_marked(inner, names)
    ):
        return True
    if _is_headed(plain, names, parameters or {}) or _runs_code(plain, names):
        return True
    if _is_applied(plain.rstrip().rpartition("\n")[2], names):
        return True
    spoken = _EXAMPLE.sub(" ", text)
    return any(_names_tool(pattern, spoken, names) for pattern in (_STEP, _LISTED, _NESTED, _BARE, _CALLING)) or any(
        finds(spoken, names) for finds in (_is_marked, _holds_object)
    )


def _said(text: str) -> str:
    """Returns a text without the role before it, and one that is a JSON string as what it spells."""
    if (role := _ROLE.match(text)) is not None:
        return text[role.end() :]
    if not text.lstrip().startswith(('"{', '"[')):
        return text
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def _is_headed(text: str, names: ToolNames, parameters: Mapping[str, Collection[str]]) -> bool:
    """Tells whether a text is the name of a tool above a fence with nothing but arguments of that tool."""
    lines = [0, *(line.end() for line in re.finditer("\n", text[: max(text.find("{"), 0)]))]
    for start in {0, *lines[-_MOST_LINES:]}:
        headed = _HEADED.match(text, start)
        tool = names.meant(headed["name"]) if headed else None
        fields = _fields(headed["fenced"] or headed["object"]) if headed and tool else {}
        if tool and fields and fields.keys() <= set(parameters.get(tool, ())):
            return True
    return False


def _runs_code(text: str, names: ToolNames) -> bool:
    """Tells whether code that is to be run, as under `Code:`, applies a tool."""
    at = 0
    while code := _CODE.search(text, at):
        end = _CODE_END.search(text, code.end())
        at = end.end() if end else len(text)
        if _names_tool(_STATEMENT, text[code.end() : at], names):
            return True
    return False


def _fields(text: str) -> dict[str, Any]:
    """Returns the fields of a text that is one object, and none for any other text."""
    try:
        value: object = json.loads(text) if text.lstrip().startswith("{") else None
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _is_applied(text: str, names: ToolNames) -> bool:
    """Tells whether a whole text is a call: `lookup(key=1)`, or `<lookup><key>1</key></lookup>`."""
    applied = _APPLIED.match(text)
    if applied is not None and (applied["name"].endswith(":") or _goes_on_in_words(text, applied.end("name"))):
        applied = None  # a label, or a call in a sentence
    call = applied or _ELEMENT.match(text)
    return call is not None and names.meant(call["name"]) is not None


def _goes_on_in_words(text: str, start: int) -> bool:
    """Tells whether words follow a call on its line, so that it is told of and not made."""
    depth = 0
    for sign in _BRACKET.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(sign[0], 0)
        if depth == 0 and sign[0] == ")":
            return _IN_WORDS.match(text, sign.end()) is not None
    return False


def _is_object(text: str, names: ToolNames, parameters: Mapping[str, Collection[str]]) -> bool:
    """Tells whether a whole text is an object that names a tool, and beside it nothing but arguments of that tool."""
    fields = _fields(text)
    for key, name in fields.items():
        tool = names.meant(name) if isinstance(name, str) and _folded(key) in _NAME_KEYS else None
        if tool is None or tool not in parameters:
            continue
        beside = fields.keys() - {key, "type", "id"}
        told = beside - (_THOUGHTS - set(parameters[tool]))
        if told <= set(parameters[tool]) if told else not beside and not parameters[tool]:
            return True
    return False


def _names_tool(pattern: re.Pattern[str], text: str, names: ToolNames) -> bool:
    """Tells whether a place that a pattern finds names a tool."""
    found = itertools.islice(pattern.finditer(text), _MOST_MARKERS)
    return any(names.meant(name) for place in found for name in place.groupdict().values() if name)


def _is_marked(text: str, names: ToolNames) -> bool:
    for count, marker in enumerate(_MARKER.finditer(text)):
        if count == _MOST_MARKERS:
            break
        for word in _WORD.finditer(text, marker.end(), marker.end() + _REACH):
            if names.meant(word.group()):
                return True
            if not _STRUCTURE.fullmatch(word.group()):
                break
    return False


def _holds_object(text: str, names: ToolNames) -> bool:
    """Tells whether an object is a call, wherever it begins; one in bad JSON must begin a line, a fence or a tag."""
    at, failed, looked_at = 0, 0, 0
    while failed < _MOST_OBJECTS and looked_at < _MOST_VALUES and (found := _OBJECT.search(text, at)):
        at, looked_at = found.start(), looked_at + 1
        begins = _BEGINS.search(text, max(at - 90, 0), at) is not None
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            failed += 1
            if begins and _spells(text[at : at + 2_000], names):
                return True
            at += 1
            continue
        at = end
        if (begins or not _IN_SENTENCE.match(text, end)) and _is_value_call(value, names, begins):
            return True
    return False


def _is_value_call(value: object, names: ToolNames, begins: bool) -> bool:
    """Tells whether a value holds a call: a name and arguments anywhere, or a shorter form where it begins a line."""
    if any(_has_arguments(entry, names) for entry in _objects(value, _DEEPEST, everywhere=True)):
        return True
    return begins and (_is_pair(value, names) or any(_is_call(entry, names) for entry in _objects(value, _DEEPEST)))


def _is_pair(value: object, names: ToolNames) -> bool:
    """Tells whether a value is a list of a tool's name and an object."""
    match value:
        case [str() as name, dict()]:
            return names.meant(name) is not None
        case _:
            return False


def _spells(text: str, names: ToolNames) -> bool:
    """Tells whether an object that cannot be read names a tool and has arguments."""
    found = [(_folded(one["key"]), one["value"]) for one in _SPELLED.finditer(text)]
    named = any(key in _NAME_KEYS and value and names.meant(value) for key, value in found)
    return named and any(key in _ARGUMENT_KEYS for key, _ in found)


def _objects(value: object, depth: int, *, everywhere: bool = False) -> Iterator[dict[str, Any]]:
    """Yields the objects that may be calls: a value itself, its entries, and what wrappers or all its keys hold."""
    if depth and isinstance(value, list):
        for entry in cast("list[object]", value):
            yield from _objects(entry, depth - 1, everywhere=everywhere)
    elif depth and isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        yield fields
        for key, inner in fields.items():
            if everywhere or _folded(key) in _WRAPPERS:
                yield from _objects(inner, depth - 1, everywhere=everywhere)


def _has_arguments(fields: dict[str, Any], names: ToolNames) -> bool:
    folded = {_folded(key): value for key, value in fields.items()}
    if folded.keys().isdisjoint(_ARGUMENT_KEYS):
        return False
    named = (value for key in _NAME_KEYS if isinstance(value := folded.get(key), str))
    return any(names.meant(name) for name in named)


def _is_call(fields: dict[str, Any], names: ToolNames) -> bool:
    [*keys] = fields
    return len(keys) == 1 and isinstance(fields[keys[0]], dict) and names.meant(keys[0]) is not None


def _folded(key: str) -> str:
    return key.replace("_", "").casefold()
