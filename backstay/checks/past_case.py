"""Writes past calls as entries of `cases.toml`, so that a rule which once decided wrongly is tested from then on."""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast
from unicodedata import category

from backstay.app import folders
from backstay.contracts.conversation import Decided, Item, Observed
from backstay.contracts.decision import ProposedCall
from backstay.contracts.policy import AuthorizeInput
from backstay.errors import ConfigurationError
from backstay.kernel.arguments import Unreadable
from backstay.kernel.meter import format_amount
from backstay.kernel.money import format_usd
from backstay.kernel.verdict import Verdict

from .cases import CaseTable
from .past_runs import PastRun

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_UNWRITABLE = re.compile("[\ud800-\udfff]")
_STEERING = ("Cc", "Cf", "Co", "Cn")


@dataclass(frozen=True, slots=True)
class PastCall:
    """A call with the question that it was first part of, its verdict, and what the run had read before."""

    given: AuthorizeInput
    call: ProposedCall
    verdict: Verdict
    items: Sequence[Item] = ()


def first_judged(run: PastRun, step: int | None) -> list[PastCall]:
    """Lists the calls of a link of a run, each as it was judged first.

    Args:
        run: the link.
        step: the step of the calls; None for all.
    """
    found: dict[tuple[str, str], PastCall] = {}
    for question in run.questions:
        if step not in (None, question.given.facts.step):
            continue
        tally = folders.exposure.Tally(question.given)
        for call, verdict in zip(question.given.calls, question.verdicts, strict=True):
            found.setdefault((call.call_id, call.content), PastCall(tally.question(), call, verdict))
            tally.count(call.call_id, verdict)
    return list(found.values())


def case_of(past: PastCall) -> str:
    """Writes a call as a case that expects the recorded verdict.

    Raises:
        ConfigurationError: no case can hold its arguments.
    """
    given, call, verdict = past.given, past.call, past.verdict
    arguments = call.parsed
    if isinstance(arguments, Unreadable):
        raise _unwritable(past, "they are no JSON object")
    left_out = sorted(name for name, value in arguments.items() if value is None)
    name = f"{given.run_id} step {given.facts.step}: {call.call_id}"
    table: dict[str, Any] = {
        "name": name,
        "tool": call.tool,
        "args": {name: value for name, value in arguments.items() if value is not None},
        "expect": verdict.outcome.value,
        **({"groups": list(verdict.groups)} if verdict.groups else {}),
        **_beside(given, call),
        **({"results": _results(past.items)} if verdict.origins is not None else {}),
    }
    comment = f"# left out, because TOML has no null: {', '.join(left_out)}\n" if left_out else ""
    try:
        text = "[[case]]\n" + comment + "".join(f"{_key(key)} = {_value(value)}\n" for key, value in table.items())
        CaseTable.model_validate(tomllib.loads(text)["case"][0])
    except ValueError:  # not its words: they may repeat an argument
        raise _unwritable(past, "they hold a value that TOML has not, such as null in a list") from None
    return text


def _unwritable(past: PastCall, why: str) -> ConfigurationError:
    what = f"the arguments of `{past.call.tool}` in step {past.given.facts.step} make no case: {why}"
    return ConfigurationError(what, mend="write a case with arguments that its tool takes")


def _beside(given: AuthorizeInput, call: ProposedCall) -> dict[str, Any]:
    """Returns what rules may have known beside the arguments; what a case has by default is left out."""
    facts = given.facts
    known = {
        "goal": given.goal,
        "requested_by": given.requested_by,
        "tenant": given.tenant if given.tenant != "default" else None,
        "taint": facts.taint,
        "step": facts.step,
        "spent_usd": format_usd(facts.spent_usd) if facts.spent_usd else None,
        "tool_calls": facts.tool_calls,
        "tool_calls_60s": facts.tool_calls_60s.get(call.tool, 0),
        "exposure": _sums(given, call),
        "now": given.now,
    }
    return {name: value for name, value in known.items() if value}


def _sums(given: AuthorizeInput, call: ProposedCall) -> dict[str, dict[str, str]]:
    """Returns the sums of meters before the call, as a case has them."""
    counted = given.counted.get(call.call_id, {})
    return {
        name: {
            "run": format_amount(given.facts.exposure.get(name, 0)),
            **{period.value: format_amount(units) for period, units in counted.get(name, {}).items()},
        }
        for name in sorted({*given.facts.exposure, *counted})
    }


def _results(items: Iterable[Item]) -> list[dict[str, Any]]:
    """Returns what the run had read before, in order; refusals are the runtime's own words, and left out."""
    calls: dict[str, ProposedCall] = {}
    found: list[dict[str, Any]] = []
    for item in items:
        if isinstance(item, Decided):
            calls.update((call.call_id, call) for call in item.decision.calls)
        elif isinstance(item, Observed) and not item.refused and not item.denied and item.call_id in calls:
            call = calls[item.call_id]
            args = {} if isinstance(call.parsed, Unreadable) else _without_null(call.parsed)
            found.append({"tool": call.tool, "args": args, "result": item.text})
    return found


def _without_null(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _value(value: object) -> str:
    """Writes a value of JSON as TOML, on one line.

    Raises:
        ValueError: TOML has no such value.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float() | Decimal():
            return str(value)
        case str():
            return _text(value)
        case list():
            return f"[{', '.join(map(_value, cast('list[object]', value)))}]"
        case dict():
            pairs = cast("dict[str, object]", value).items()
            return f"{{ {', '.join(f'{_key(key)} = {_value(one)}' for key, one in pairs)} }}" if pairs else "{}"
        case _:
            raise ValueError(f"a {type(value).__name__} is no value of TOML")


def _text(text: str) -> str:
    """Writes a text as JSON does, which is a text of TOML too, once all that could steer a terminal is escaped."""
    if _UNWRITABLE.search(text):
        raise ValueError("half of a surrogate pair is no text of TOML")
    spelled = json.dumps(text, ensure_ascii=False)
    return "".join(one if category(one) not in _STEERING else f"\\U{ord(one):08x}" for one in spelled)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)
