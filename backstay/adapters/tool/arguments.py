"""Reads a function's arguments from JSON strictly, and writes them back as JSON for rules."""

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import UnionType
from typing import Any, Literal, NotRequired, Required, Union, cast, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, to_jsonable_python
from typing_extensions import TypedDict

from backstay.contracts.policy import UNHELD
from backstay.contracts.problems import Problem, problems_of
from backstay.errors import ConfigurationError
from backstay.kernel.arguments import whole_numbers
from backstay.tools import ToolCall

from .mending import has, without_nulls, without_odd_numbers

_LONGEST_NUMBER = 1_000


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a function.

    Attributes:
        name: the name that the model uses.
        parameter: the name of the function's parameter.
        alone: reads and writes an object that holds this argument only.
        default: the default value in JSON; None where there is no default.
    """

    name: str
    parameter: str
    alone: TypeAdapter[Any]
    default: Any = None

    @classmethod
    def of(cls, parameter: inspect.Parameter, hint: Any) -> "Argument":
        """Builds the argument of a parameter with a type hint."""
        alone = _object(parameter.name, {parameter.name: Required[hint]})
        (name,) = alone.json_schema()["properties"]
        default = None if parameter.default is parameter.empty else to_jsonable_python(parameter.default)
        return cls(name, parameter.name, alone, default)

    def held(self, value: Any) -> Any:
        """Returns a value in JSON, or `UNHELD` where JSON would not give back an equal value, as with a `SecretStr`."""
        try:
            written = self.alone.dump_json({self.parameter: value}, by_alias=True)
            same = self.alone.validate_json(written, strict=True) == {self.parameter: value}
        except (ValueError, TypeError, RecursionError, PydanticSerializationError):
            return UNHELD
        return json.loads(written)[self.name] if same else UNHELD

    def identity(self, value: Any) -> Any:
        """Returns a value in JSON, equal for equal values: 1.20 and 1.2, one instant in two time zones, any set order.

        Returns:
            The value, or `UNHELD` where JSON cannot hold it.
        """
        try:
            return _spelled(self.alone.dump_python({self.parameter: value}, by_alias=True)[self.name])
        except (ValueError, TypeError, RecursionError, PydanticSerializationError):
            return UNHELD


@dataclass(frozen=True, slots=True)
class Arguments:
    """All arguments of a function.

    Attributes:
        all: reads all arguments together.
        each: the arguments by parameter name.
        plain: all arguments are plain JSON values, so that no code but ours and pydantic's reads them.
    """

    all: TypeAdapter[Any]
    each: Mapping[str, Argument]
    plain: bool = False

    @classmethod
    def of(cls, name: str, function: Callable[..., Any], where: str) -> "Arguments":
        """Builds the arguments from a function's type hints.

        Args:
            name: the tool's name.
            function: the tool's function.
            where: the file and line of the function, for errors.

        Raises:
            ConfigurationError: a parameter has no type hint, or one that cannot be read from JSON.
        """
        hints = _hints(name, function, where)
        parameters = inspect.signature(function).parameters
        required = {key for key in hints if parameters[key].default is inspect.Parameter.empty}
        fields = {key: Required[hint] if key in required else NotRequired[hint] for key, hint in hints.items()}
        try:
            each = {key: Argument.of(parameters[key], hint) for key, hint in hints.items()}
            found = cls(_object(name, fields), each, all(map(_is_plain, hints.values())))
            found.schema()
        except Exception as error:
            first = str(error).splitlines()[0]
            raise ConfigurationError(f"`{name}` has a type hint that JSON cannot carry: {first}", where=where) from None
        return found

    def schema(self) -> dict[str, Any]:
        """Returns the JSON Schema that the model reads."""
        schema = self.all.json_schema(schema_generator=_PlainSchema)
        schema.pop("title", None)
        schema.setdefault("properties", {})
        return schema

    def typed(self, given: Mapping[str, Any]) -> dict[str, Any] | list[Problem]:
        """Returns the arguments in the function's own types, or the problems found; converts no value on a guess.

        A null that does not fit counts as left out, and a whole number written with a point (120.0) as an integer.
        """
        try:
            values = self._validated(given)
            if (plain := without_odd_numbers(given)) != given:
                self._validated(plain)  # a text that is no number in JSON may be a text, and no number
            return values
        except ValidationError as error:
            problems = problems_of(error)
            mended, dropped = without_nulls(given, error)
        try:
            values = self._validated(whole_numbers(mended))
            self._validated(without_odd_numbers(whole_numbers(mended)))
        except ValidationError as error:
            return problems_of(error)
        # Only a field that has a default appears again; an entry of a mapping does not, and is not to be lost.
        filled = self.held(values)
        return values if all(len(path) == 1 or has(filled, path) for path in dropped) else problems

    def _validated(self, given: object) -> dict[str, Any]:
        return cast("dict[str, Any]", self.all.validate_json(json.dumps(given), strict=True))

    def identity(self, values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments in one canonical form, equal for calls that the function cannot tell apart.

        Args:
            values: the arguments in the function's own types.
            given: the arguments as the model sent them, used where JSON cannot hold a typed value.

        Returns:
            The arguments by name, without those that are None.
        """
        held = self.held(values)
        for key, value in values.items():
            one = self.each[key]
            spelled = UNHELD if held[one.name] is UNHELD else one.identity(value)
            held[one.name] = given.get(one.name) if spelled is UNHELD else spelled
        return {name: value for name, value in held.items() if value is not None}

    def held(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments in JSON as the function gets them, with defaults for those left out, at every depth."""
        defaults = {one.name: one.default for key, one in self.each.items() if key not in values}
        stated = {self.each[key].name: self.each[key].held(value) for key, value in values.items()}
        return {**{name: default for name, default in defaults.items() if default is not None}, **stated}


def wants_call(function: Callable[..., Any]) -> bool:
    """Tells whether the function's first parameter is the `ToolCall`."""
    first = next(iter(inspect.signature(function).parameters), None)
    return first is not None and get_type_hints(function).get(first) is ToolCall


def _hints(name: str, function: Callable[..., Any], where: str) -> dict[str, Any]:
    """Returns the type hint of each argument; a leading `ToolCall` is not an argument.

    Raises:
        ConfigurationError: a hint is missing or cannot be read, or a parameter has no name of its own (`*args`).
    """
    try:
        hints = get_type_hints(function, include_extras=True)
        skipped = wants_call(function)
    except Exception as error:
        raise ConfigurationError(f"the type hints of `{name}` cannot be read: {error}", where=where) from None
    found: dict[str, Any] = {}
    for parameter in [*inspect.signature(function).parameters.values()][skipped:]:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ConfigurationError(f"`{name}` takes `{parameter}`", where=where, mend="name every parameter")
        if parameter.name not in hints:
            mend = f"write `{parameter.name}: str`, for example"
            raise ConfigurationError(f"`{parameter.name}` of `{name}` has no type hint", where=where, mend=mend)
        found[parameter.name] = hints[parameter.name]
    return found


def _is_plain(hint: Any) -> bool:
    """Tells whether a type hint is one of JSON's own types, or made of them; an annotation may bring any function."""
    if hint in (str, int, float, bool, None, type(None)):
        return True
    parts = get_args(hint)
    if get_origin(hint) is Literal:
        return all(type(part) in (str, int, bool, type(None)) for part in parts)
    return bool(parts) and get_origin(hint) in (list, dict, Union, UnionType) and all(map(_is_plain, parts))


def _spelled(value: Any) -> Any:
    """Returns a value in JSON, spelled the same for all equal values."""
    match value:
        case Mapping():
            return {str(_spelled(key)): _spelled(entry) for key, entry in cast("Mapping[Any, Any]", value).items()}
        case set() | frozenset():
            return sorted((_spelled(entry) for entry in cast("set[Any]", value)), key=json.dumps)
        case list() | tuple():
            return [_spelled(entry) for entry in cast("list[Any]", value)]
        case Decimal():
            return _spelled_number(value)
        case datetime() if value.tzinfo is not None:
            return value.astimezone(UTC).isoformat()
        case _:
            return to_jsonable_python(value)


def _spelled_number(value: Decimal) -> str:
    """Returns a number in one spelling, exactly, whatever its length."""
    sign, digits, exponent = value.as_tuple()
    written = "".join(map(str, digits))
    kept = written.rstrip("0")
    if not kept:
        return "0"
    exponent = cast("int", exponent) + len(written) - len(kept)  # JSON gives back no NaN, which has none
    if abs(exponent) > _LONGEST_NUMBER:
        return f"{'-' * sign}{kept}e{exponent}"
    return f"{Decimal((sign, tuple(map(int, kept)), exponent)):f}"


def _object(name: str, fields: Mapping[str, Any]) -> TypeAdapter[Any]:
    given = TypedDict(f"{name}_arguments", fields)  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]
    given.__pydantic_config__ = ConfigDict(extra="forbid", title=name)  # pyright: ignore[reportAttributeAccessIssue]
    return TypeAdapter(given)


class _PlainSchema(GenerateJsonSchema):
    """A schema writer that omits titles, because they only repeat the names and cost tokens."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False
