"""Describes what rules can read: the context of a call, the facts of every tool, and functions that make facts."""

import inspect

from backstay.kernel.origins import PARTS
from backstay.tools import facts as ready
from policies.cedar import schema
from policies.cedar.shape import Record, SetOf, Shape

from .documented import prose
from .markdown import code, page, table

_TEXT = """\
A rule sees one call: the agent as `principal`, the tool as `action`, the tenant as `resource`, and a `context`. A tool
adds facts of its own with `@tool(facts={"name": ("Cedar type", function of the arguments)})`; the function names the
arguments it needs as its parameters. `backstay policy schema AGENT` prints the schema with the types of an agent's own
tools."""
_CONTEXT = {
    "input": "The call's arguments in their types: integers are `Long`, other numbers and money are `decimal`.",
    "facts": "The facts of the tool, and those that every tool has.",
    "approvals": "The approvals that were given, such as `finance` and `finance:2`.",
    "run.step": "The step that the run is in, from 1.",
    "run.spent_usd": "What the run has spent, in USD.",
    "run.tool_calls": "The calls that the run has made before.",
    "run.tool_calls_60s": "The calls of this tool in the last 60 seconds.",
    "run.taint": "What the run has read: `untrusted` after a result of a tool marked `untrusted`.",
    "exposure.NAME.run": "The sum of the meter `NAME` in the run, with this call and those before it in its decision.",
    "exposure.NAME.day": "The same over all runs of the tenant in a day, where the meter is counted by day.",
    "exposure.NAME.month": "The same over all runs of the tenant in a month, where the meter is counted by month.",
    "sources.ARGUMENT": "Where the value of an argument comes from: [the words](#where-values-come-from).",
    "targets": "The same over all arguments that say whom or what a call reaches: `@tool(targets=[...])`.",
    "items": "The same over all arguments that say what a call changes or destroys: `@tool(items=[...])`.",
    "texts": "The same over all free texts: `@tool(texts=[...])`.",
    "carries": "The labels of what free texts copy out of labelled results.",
    "parts": "The sources of the addresses, links, codes and long numbers within free texts.",
    "accepted": "The roles of which all values are trusted, or accepted by `[sources] accept` of agent.toml.",
    "env.incident": "True while an incident is in force.",
    "env.now": "The time in seconds since 1970.",
}
_WORDS = {
    "user": "The goal names it as a whole, as for `named_by_user`.",
    "person": "A person has put it there, by an edit.",
    "trusted": "Each entry is `user`, `record`, or in a register of the organisation.",
    "config:NAME": "It is in the register `NAME`, of the organisation or of the agent.",
    "record": "It stands in a record that the goal names: `@tool(names=...)`, and for ids `ids`.",
    "document": "It is the only address, link or IBAN in a labelled text that the goal names (`names_result`).",
    "tool:NAME.FIELD": "It stands in a field without a label of that tool's result; `tool:NAME` for a plain text.",
    "tool:*": "It stands in more fields than the eight that are told. A rule that denies by a field counts it as each.",
    "untrusted": "It stands in a result, or a field, with that label; each label of `@tool(labels=...)` is a word.",
    "model": "It stands nowhere: the model made it up, or computed it.",
    "none": "The argument is left out, or the tool declares none of that role.",
}
_ORIGINS = """\
All of them are sets of words. Of a list a word holds if it holds for every entry, but a label and `model` if they do
for one. They are computed once, before the call is made, and kept in its verdict: for agents with a rule that reads
them. [Follow where values come from](../how-to/follow-values.md) has examples."""
_UNSURE = """\
This is a heuristic, as `named_by_user` is. Origin is not intent: "do not write to Carl" names Carl, and the right
payee may get the wrong amount. What the model says in words of its own is not judged: `carries` sees four words in a
row, and neither a paraphrase nor a translation. A sum, a share, a date that is counted and a number of another locale
are `model`. What was written into a store comes back clean, unless the field that it is read from has a label."""
_EVERY = {
    "named_by_user": "The names of the arguments that the goal spells out as whole words.",
    "named_weakly": "The same for values that are short, unclear, or taken back, such as `7`, `1.500` and `never Eve`.",
    "local_addresses": "The names of the arguments with a link to this machine, to its network link or to Temporal. "
    "A host of one word or with an ending for local networks, such as `.internal`, counts too.",
}
_HEURISTIC = """\
These facts are computed, not understood. A text that was pasted into the goal counts as said.

- **In any usual spelling.** `98,70` is 98.7, `1.500,00` and `1,500` are 1500, `EUR500` is 500; `05/15/2024`,
  `15.05.2024` and `20240515` are 2024-05-15; an IBAN or a phone number may have blanks, a file `./` before it, and a
  link its scheme, `www.`, usual port, fragment and last slash.
- **Weakly, where a spelling is unclear.** `1.500` may be 1500 or 1.5, `05/06/2024` two dates, `2k` a name. Both sides
  must be written alike, or else such a value is named weakly.
- **An amount** has a currency beside it, is written as money is, or follows a word such as `pay` or `total`. Other
  numbers count weakly, as do years, shares and postcodes, and that of an order or an invoice does not count.
- **Weakly, where it is taken back**: "never send money to eve@example.com", "order 4711, not 4712". Other words for
  that are not understood, so that a rule should ask for more than this fact.
- **A file name in quotes** is one name, blanks included; without quotes its last word counts too."""
_READY = """\
Functions for facts of your own, in `backstay.tools.facts`. Each is pure, so that a replay finds the same."""


def facts() -> str:
    """Returns the page about facts.

    Raises:
        KeyError: the schema has a part that no line above explains.
    """
    head = ("name", "Cedar type", "meaning")
    return page(
        "Facts and context",
        _TEXT,
        "## The context",
        table(head, [(code(f"context.{name}"), kind, _CONTEXT[name]) for name, kind in _parts().items()]),
        "## Facts that every tool has",
        table(head, [(code(name), code(kind), _EVERY[name]) for name, kind in ready.EVERY_TOOLS_FACTS.items()]),
        _HEURISTIC,
        "## Where values come from",
        _ORIGINS,
        table(("word", "meaning"), [(code(word), text) for word, text in _WORDS.items()]),
        _UNSURE,
        "## Types of facts",
        "One of " + ", ".join(code(kind) for kind in schema.FACT_TYPES) + ".",
        "## Ready-made functions",
        _READY,
        *(f"### `{name}{_signature(function)}`\n\n{prose(function)}" for name, function in _functions().items()),
    )


def _parts() -> dict[str, str]:
    found = {"input": "record", "facts": "record", "approvals": code("Set<String>")}
    for section, record in (("run", schema.RUN), ("exposure.NAME", schema.METER), ("env", schema.ENV)):
        found |= {f"{section}.{name}": _kind(attribute.shape) for name, attribute in record.attributes.items()}
    return found | dict.fromkeys(("sources.ARGUMENT", *PARTS[1:]), code("Set<String>"))


def _kind(shape: Shape) -> str:
    match shape:
        case SetOf(element):
            return code(f"Set<{element!s}>")
        case Record():
            return "record"
        case _:
            return code(str(shape))


def _functions() -> dict[str, object]:
    public = {name: thing for name, thing in vars(ready).items() if inspect.isfunction(thing) and name[0] != "_"}
    return {name: thing for name, thing in public.items() if thing.__module__ == ready.__name__}


def _signature(function: object) -> str:
    return str(inspect.signature(function)) if callable(function) else ""
