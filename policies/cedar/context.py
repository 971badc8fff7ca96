"""Turns a call into Cedar's context, value by value along the tool's schema, so that no value is ever reinterpreted.

Every JSON object is built here from the schema's names, so that a key such as `__entity` in an argument means nothing.
A value that Cedar cannot hold is left out and reported; a rule that depends on it must then refuse the call.
"""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any, cast

from backstay.contracts.policy import UNHELD, PolicyCall, RunFacts
from backstay.kernel.origins import ABSENT, PARTS, Origins

from .schema import ToolSchema
from .shape import Record, Scalar, SetOf, Shape

Path = tuple[str, ...]

MAX_LONG = 2**63 - 1
MIN_LONG = -(2**63)
MAX_DECIMAL = Decimal(MAX_LONG).scaleb(-4)
MIN_DECIMAL = Decimal(MIN_LONG).scaleb(-4)
_UNKNOWN: Mapping[str, Any] = dict.fromkeys(PARTS, ())
_PLACES = Decimal("0.0001")
_EXACT = Context(prec=40)
_PLAIN_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(?:\.[0-9]{1,30})?", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Mapped:
    """A call in Cedar's JSON, and the paths of the values that are missing from it."""

    context: dict[str, Any]
    left_out: tuple[Path, ...]


class MismatchError(ValueError):
    """An argument is not of the type that the tool's schema says; `path` names it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"`{'.'.join(path)}` does not fit the tool's schema")


class _UnholdableError(ValueError):
    """The value has no counterpart in Cedar."""


def mapped(tool: ToolSchema, call: PolicyCall) -> Mapped:
    """Maps a call to the context of a request, without its approvals.

    Raises:
        MismatchError: an argument is missing, or has another type than its schema says.
    """
    lost: list[Path] = []
    shapes = {name: attribute.shape for name, attribute in tool.context.attributes.items()}
    arguments = _record(cast("Record", shapes["input"]), call.arguments, ("input",), lost)
    facts = _facts(cast("Record", shapes["facts"]), call.facts, lost)
    context: dict[str, Any] = {
        "input": arguments,
        "facts": facts,
        "run": _run(call.run, call.tool.name),
        "exposure": _exposure(cast("Record", shapes["exposure"]), call, lost),
        **(_origins(cast("Record", shapes["sources"]), call.origins) if "sources" in shapes else {}),
        "env": {"incident": call.incident, "now": call.now},
    }
    return Mapped(context, tuple(lost))


def _origins(shape: Record, known: Origins | None) -> dict[str, Any]:
    """Maps where values come from; where nobody asked, nothing is said of any, so that no rule holds for it."""
    if known is None:
        return {**_UNKNOWN, "sources": dict.fromkeys(shape.attributes, ())}
    words: dict[str, Any] = {part: getattr(known, part) for part in PARTS}
    words["sources"] = {name: known.sources.get(name, ABSENT) for name in shape.attributes}
    return words


def _run(run: RunFacts, tool: str) -> dict[str, Any]:
    return {
        "step": run.step,
        "spent_usd": _extension(_dollars(run.spent_usd)),
        "tool_calls": run.tool_calls,
        "tool_calls_60s": run.tool_calls_60s.get(tool, 0),
        "taint": sorted(set(run.taint)),
    }


def _exposure(shape: Record, call: PolicyCall, lost: list[Path]) -> dict[str, Any]:
    """Maps the sums of each meter; one that is too large for a decimal, or was to be counted and is not, is lost."""
    held: dict[str, Any] = {}
    for name, attribute in shape.attributes.items():
        meter = cast("Record", attribute.shape)
        sums = {"run": call.exposure.get(name, 0), **call.counted.get(name, {})}
        for period, known in meter.attributes.items():
            if period not in sums and not known.required:
                continue  # counted for some tenants only: rules ask with `has`
            units = sums.get(period, MAX_LONG + 1)
            if units > MAX_LONG:
                lost.append(("exposure", name, period))
            else:
                held.setdefault(name, {})[period] = _extension(f"{units // 10_000}.{units % 10_000:04d}")
    return held


def _dollars(micro: int) -> str:
    """Writes dollars with four places, rounded up: a rule about money spent applies no later than it says."""
    units = min(-(-max(micro, 0) // 100), MAX_LONG)
    return f"{units // 10_000}.{units % 10_000:04d}"


def _facts(shape: Record, values: Mapping[str, Any], lost: list[Path]) -> dict[str, Any]:
    """Maps the declared facts; one that is missing, or has another type than declared, is left out."""
    facts: dict[str, Any] = {}
    for name, attribute in shape.attributes.items():
        value = values.get(name)
        if isinstance(value, AbstractSet):
            value = list(cast("AbstractSet[Any]", value))
        try:
            facts[name] = _value(attribute.shape, value, ("facts", name), lost)
        except (_UnholdableError, MismatchError):
            lost.append(("facts", name))
    return facts


def _record(shape: Record, value: Any, path: Path, lost: list[Path]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise MismatchError(path)
    held: dict[str, Any] = {}
    values = cast("Mapping[str, Any]", value)
    for name, attribute in shape.attributes.items():
        inner = (*path, name)
        if name not in values:
            if attribute.required:
                raise MismatchError(inner)
        elif values[name] is not None:
            try:
                held[name] = _value(attribute.shape, values[name], inner, lost)
            except _UnholdableError:
                lost.append(inner)
        elif not attribute.nullable:
            raise MismatchError(inner)
    # A rule may still test with `has` for what the schema does not show.
    lost.extend((*path, name) for name in values if name not in shape.attributes)
    return held


def _value(shape: Shape, value: Any, path: Path, lost: list[Path]) -> Any:
    if value is UNHELD:
        raise _UnholdableError
    match shape:
        case Scalar.STRING:
            return _string(value, path)
        case Scalar.LONG:
            return _long(value, path)
        case Scalar.DECIMAL | Scalar.NUMERAL:
            if isinstance(value, str) and shape is not Scalar.NUMERAL:
                raise MismatchError(path)
            return _extension(_decimal(value, path))
        case Scalar.BOOL:
            if not isinstance(value, bool):
                raise MismatchError(path)
            return value
        case SetOf(element):
            return _set(element, value, path)
        case Record():
            return _record(shape, value, path, lost)


def _set(shape: Shape, value: Any, path: Path) -> list[Any]:
    """Maps a list; where one element cannot be held in full, the whole list is left out."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise MismatchError(path)
    lost: list[Path] = []
    held = [_value(shape, element, path, lost) for element in cast("Sequence[Any]", value)]
    if lost:
        raise _UnholdableError
    return held


def _string(value: Any, path: Path) -> str:
    if not isinstance(value, str):
        raise MismatchError(path)
    if _SURROGATE.search(value):
        raise _UnholdableError
    return str(value)


def _long(value: Any, path: Path) -> int:
    # JSON Schema counts 5.0 among the integers.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise MismatchError(path)
    if not MIN_LONG <= value <= MAX_LONG:
        raise _UnholdableError
    return int(value)


def _decimal(value: Any, path: Path) -> str:
    """Writes a number with four places; one with more cannot be held."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise MismatchError(path)
    if isinstance(value, str) and not _PLAIN_NUMBER.fullmatch(value):
        raise _UnholdableError
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite() or not MIN_DECIMAL <= number <= MAX_DECIMAL:
        raise _UnholdableError
    rounded = number.quantize(_PLACES, context=_EXACT)
    if rounded != number:
        raise _UnholdableError
    return f"{rounded:f}"


def _extension(number: str) -> dict[str, Any]:
    return {"__extn": {"fn": "decimal", "arg": number}}
