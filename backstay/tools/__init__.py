"""Marks Python functions as tools: `@tool` and what a tool may ask about its call.

@tool(effect="write", timeout="30s")
async def issue_refund(call: ToolCall, order_id: str, amount: Decimal) -> Refund:
    \"\"\"Refunds an order. (The docstring is what the model reads.)\"\"\"
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, TypeVar, overload

from backstay.contracts.effect import LONGEST_SECONDS
from backstay.errors import ConfigurationError, OutcomeUnknownError, SecretError, ToolError
from backstay.kernel.money import MoneyError, parse_usd

__all__ = [
    "NOT_HAPPENED",
    "UNKNOWN",
    "Effect",
    "Happened",
    "OutcomeUnknownError",
    "SecretError",
    "ToolCall",
    "ToolError",
    "ToolOptions",
    "Unsettled",
    "no_secret",
    "options_of",
    "seconds",
    "tool",
]

Effect = Literal["read", "write", "once"]
Dedupe = Literal["run", "tenant"]
Fact = tuple[str, Callable[..., Any]]
F = TypeVar("F", bound=Callable[..., Any])

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_SECRET = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
_MARK = "__backstay_tool__"


def no_secret(name: str) -> str:
    """What a `ToolCall` that no worker made reads its secrets with.

    Raises:
        SecretError: always.
    """
    raise SecretError(f"the secret `{name}` can be read in a call of a worker only; a test gives `read_secret`")


@dataclass(frozen=True, slots=True)
class Happened:
    """The answer of a `reconcile` function where the call with that key did happen; `result` is what it returned."""

    result: Any = None


class Unsettled(Enum):
    """The other answers of a `reconcile` function: it did not happen, or the function cannot tell."""

    NOT_HAPPENED = "not_happened"
    UNKNOWN = "unknown"


NOT_HAPPENED = Unsettled.NOT_HAPPENED
UNKNOWN = Unsettled.UNKNOWN


def no_bill(micros: int) -> None:
    """Takes the cost of a `ToolCall` that no worker made, and forgets it."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What a tool may know of its call; it is given as the first parameter to a tool that asks for it.

    `idempotency_key` is the same over attempts, worker crashes and resets of one call, and different for every other
    call: hand it to whatever performs the effect. `read_secret` is behind `secret`; it holds no value itself.
    """

    run_id: str
    step: int
    call_id: str
    idempotency_key: str
    agent: str
    tenant: str
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    read_secret: Callable[[str], str] = field(default=no_secret, repr=False, compare=False)
    take_cost: Callable[[int], None] = field(default=no_bill, repr=False, compare=False)

    def report_cost(self, usd: str) -> None:
        """Says what the call really cost, as a decimal string of US dollars; the last word counts.

        A tool with `@tool(cost=...)` that says nothing is charged all of it.

        Raises:
            MoneyError: the text is no amount of US dollars.
        """
        self.take_cost(parse_usd(usd))

    def secret(self, name: str) -> str:
        """The value, as it is now, of a secret that the tool declares: `@tool(secrets=["SHOP_TOKEN"])`.

        Raises:
            SecretError: the tool has not declared it, or the worker has none of that name.
        """
        return self.read_secret(name)


@dataclass(frozen=True, slots=True)
class ToolOptions:
    """The options of `@tool`.

    Attributes:
        effect: `read` has none; `write` is idempotent, by nature or by its key; `once` is neither.
        timeout: seconds of one attempt.
        groups: action groups that rules may name.
        repeatable: the same call may bring the same result for long (polling), without counting as no progress.
        secrets: names of what `ToolCall.secret` may read.
        untrusted: its results come from outside and taint the run: rules can read it.
        dedupe: `run` or `tenant`: an identical call there gets the first one's result, and performs nothing.
        dedupe_window: seconds for which it does.
        reconcile: for `once`: `(call, **arguments)` tells whether the call with this key happened.
        cost: micro-dollars of a call, or the most it can report.
        facts: by name, the Cedar type of a fact and the pure function that computes it from the arguments it names.
    """

    effect: Effect = "once"
    timeout: float = 60.0
    groups: tuple[str, ...] = ()
    repeatable: bool = False
    secrets: tuple[str, ...] = ()
    untrusted: bool = False
    cost: int = 0
    reconcile: Callable[..., Any] | None = None
    dedupe: Dedupe | None = None
    dedupe_window: float = 86_400.0
    facts: Mapping[str, Fact] = field(default_factory=dict[str, Fact])


def seconds(text: str) -> float:
    """Reads a duration such as "500ms", "30s", "10m", "24h" or "1d" as seconds.

    Raises:
        ConfigurationError: the text is no such duration, or is zero.
    """
    match = _DURATION.fullmatch(text.strip())
    if not match or float(match[1]) == 0:
        raise ConfigurationError(f"`{text}` is no duration", mend='write for example "30s", "10m" or "24h"')
    return float(match[1]) * _UNITS[match[2]]


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(
    *,
    effect: Effect = "once",
    timeout: str = "60s",
    groups: Sequence[str] = (),
    repeatable: bool = False,
    secrets: Sequence[str] = (),
    untrusted: bool = False,
    cost: str | None = None,
    reconcile: Callable[..., Any] | None = None,
    facts: Mapping[str, Fact] | None = None,
    dedupe: Dedupe | None = None,
    dedupe_window: str = "24h",
) -> Callable[[F], F]: ...
def tool(
    function: Any = None,
    /,
    *,
    effect: Effect = "once",
    timeout: str = "60s",
    groups: Sequence[str] = (),
    repeatable: bool = False,
    secrets: Sequence[str] = (),
    untrusted: bool = False,
    cost: str | None = None,
    reconcile: Callable[..., Any] | None = None,
    facts: Mapping[str, Fact] | None = None,
    dedupe: Dedupe | None = None,
    dedupe_window: str = "24h",
) -> Any:
    """Marks a function, async or not, as a tool; the function itself stays as it was.

    One that is not async runs in a thread of its own. One that is shares the worker's event loop: it must not block, as
    `time.sleep` does, or no call of that worker is heard of meanwhile.

    Raises:
        ConfigurationError: an option is not one of those that `ToolOptions` lists.
    """
    if effect not in ("read", "write", "once"):
        raise ConfigurationError(f"`{effect}` is no effect", mend="use `read`, `write` or `once`")
    options = ToolOptions(
        effect=effect,
        timeout=seconds(timeout),
        groups=tuple(groups),
        repeatable=repeatable,
        secrets=_secret_names(secrets),
        untrusted=untrusted,
        cost=_cost(cost),
        reconcile=reconcile,
        facts=dict(facts or {}),
        dedupe=_dedupe(dedupe, effect),
        dedupe_window=_window(dedupe_window),
    )

    def mark(marked: Any) -> Any:
        if not inspect.isfunction(marked):
            raise ConfigurationError("`@tool` marks functions only", mend="wrap the object in a function")
        setattr(marked, _MARK, options)
        return marked

    return mark if function is None else mark(function)


def options_of(candidate: object) -> ToolOptions | None:
    """The options of a marked function; None for anything else."""
    options = getattr(candidate, _MARK, None)
    return options if isinstance(options, ToolOptions) else None


def _cost(text: str | None) -> int:
    try:
        return 0 if text is None else parse_usd(text)
    except (MoneyError, AttributeError):
        raise ConfigurationError(f"`{text}` is no cost", mend='write US dollars as text: `cost="0.05"`') from None


def _dedupe(scope: str | None, effect: str) -> Dedupe | None:
    if scope is None:
        return None
    if scope not in ("run", "tenant"):
        raise ConfigurationError(f"`{scope}` is no scope of `dedupe`", mend="use `run` or `tenant`")
    if effect == "read":
        raise ConfigurationError("`dedupe` refuses a second effect, and a `read` has none", mend="leave it out")
    return scope


def _window(text: str) -> float:
    window = seconds(text)
    if window > LONGEST_SECONDS:
        raise ConfigurationError(f"`{text}` is too long for `dedupe_window`", mend="write at most 366d")
    return window


def _secret_names(names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise ConfigurationError("`secrets` is a list", mend=f'write `secrets=["{names}"]`')
    for name in names:
        if not _SECRET.fullmatch(name):
            raise ConfigurationError(
                f"`{name}` is no name of a secret", mend="use letters, digits, `_`, `.` and `-`, a letter first"
            )
    return tuple(names)
