"""Marks Python functions as tools: `@tool` and its options.

@tool(effect="write", timeout="30s")
async def issue_refund(call: ToolCall, order_id: str, amount: Decimal) -> Refund:
    \"\"\"Refunds an order. (The docstring is what the model reads.)\"\"\"
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from backstay.contracts.admission import Dedupe, Effect
from backstay.contracts.effect import LONGEST_SECONDS
from backstay.errors import ConfigurationError
from backstay.kernel.marks import Marks, Roles
from backstay.kernel.money import MoneyError, parse_usd
from backstay.kernel.origins import OWN_WORDS, UNTRUSTED

Fact = tuple[str, Callable[..., Any]]
F = TypeVar("F", bound=Callable[..., Any])

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_METER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_MOST_METERS = 10
_SECRET = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
_MARK = "__backstay_tool__"
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.ASCII)
_NO_MARKS = Marks()
_NO_ROLES = Roles()
Fields = bool | Sequence[str]
"""All fields of a result, or those that are named."""


@dataclass(frozen=True, slots=True)
class ToolOptions:
    """Holds the options of `@tool`, durations in seconds and money in micro-dollars.

    Attributes:
        effect: `read` has no side effect; `write` is idempotent, by nature or by its key; `once` is neither.
        timeout: how long one attempt may take.
        groups: action groups that rules may name.
        repeatable: the same call with the same result is polling, not a lack of progress.
        secrets: names of the secrets that `ToolCall.secret` may read.
        untrusted: results come from outside: all of them, or the fields that carry what outsiders wrote. It taints the
            run, which rules can read.
        clean: fields of untrusted results that outsiders cannot write, such as `id` or `sender.address`.
        names: fields by which a person names one record of the results, such as a name or a subject.
        names_result: the argument that names the whole result, such as the link of a page.
        labels: labels of results beside `untrusted`, such as `{"private": True}`, or the fields that they stand on.
        targets: arguments that say whom or what a call reaches, such as `to` and `cc`.
        items: arguments that say what a call changes or destroys, such as `file_id`.
        texts: arguments with free texts, such as `subject` and `body`.
        ids: the kinds of ids among the arguments and the fields of results, such as `{"file_id": "file"}`.
        dedupe: `run` or `tenant`: an identical call there gets the first result and performs nothing.
        dedupe_window: how long identical calls share a result.
        reconcile: for `once`: `(call, **arguments)` tells whether the call with this key happened.
        cost: what a call costs, or the most that it can report.
        facts: for each name a Cedar type and a pure function of the arguments that it names as parameters.
        exposure: for each meter a pure function of the arguments that returns what the call adds: a decimal of zero or
            more with at most four decimals.
    """

    effect: Effect = "once"
    timeout: float = 60.0
    groups: tuple[str, ...] = ()
    repeatable: bool = False
    secrets: tuple[str, ...] = ()
    untrusted: bool = False
    marks: Marks = _NO_MARKS
    roles: Roles = _NO_ROLES
    cost: int = 0
    reconcile: Callable[..., Any] | None = None
    dedupe: Dedupe | None = None
    dedupe_window: float = 86_400.0
    facts: Mapping[str, Fact] = field(default_factory=dict[str, Fact])
    exposure: Mapping[str, Callable[..., Any]] = field(default_factory=dict[str, Callable[..., Any]])


def seconds(text: str) -> float:
    """Reads a duration such as "500ms", "30s", "10m", "24h" or "1d" as seconds.

    Raises:
        ConfigurationError: the text is no such duration, or the duration is zero.
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
    untrusted: Fields = False,
    clean: Sequence[str] = (),
    names: Sequence[str] = (),
    names_result: str | None = None,
    labels: Mapping[str, Fields] | None = None,
    targets: Sequence[str] = (),
    items: Sequence[str] = (),
    texts: Sequence[str] = (),
    ids: Mapping[str, str] | None = None,
    cost: str | None = None,
    reconcile: Callable[..., Any] | None = None,
    facts: Mapping[str, Fact] | None = None,
    exposure: Mapping[str, Callable[..., Any]] | None = None,
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
    untrusted: Fields = False,
    clean: Sequence[str] = (),
    names: Sequence[str] = (),
    names_result: str | None = None,
    labels: Mapping[str, Fields] | None = None,
    targets: Sequence[str] = (),
    items: Sequence[str] = (),
    texts: Sequence[str] = (),
    ids: Mapping[str, str] | None = None,
    cost: str | None = None,
    reconcile: Callable[..., Any] | None = None,
    facts: Mapping[str, Fact] | None = None,
    exposure: Mapping[str, Callable[..., Any]] | None = None,
    dedupe: Dedupe | None = None,
    dedupe_window: str = "24h",
) -> Any:
    """Marks a function as a tool and leaves the function itself unchanged.

    A plain function runs in a thread of its own. The `async` tools of an agent share one event loop: if one blocks, as
    with `time.sleep`, it holds up the others of that agent, and is named in the worker's log after two seconds.

    Args:
        function: the function, if the mark stands without options.
        effect: what a lost call means: see `ToolOptions`, which lists all options.
        timeout: of one attempt, as "500ms", "30s", "10m" or "1h".
        groups: action groups that rules may name.
        repeatable: exempts polling from the stop `no_progress`.
        secrets: names that `ToolCall.secret` may read.
        untrusted: marks results, or fields of them, as coming from outside.
        clean: fields that outsiders cannot write.
        names: fields by which people name a record.
        names_result: the argument that names the whole result.
        labels: further labels of results, or of fields.
        targets: arguments that say whom or what a call reaches.
        items: arguments that say what a call changes or destroys.
        texts: arguments with free texts.
        ids: the kinds of ids among arguments and fields.
        cost: US dollars of a call as a decimal string.
        reconcile: tells whether a lost call happened.
        facts: what rules may know beyond the arguments.
        exposure: what a call means in the domain, such as `{"refunds_usd": lambda amount: amount}`.
        dedupe: the scope in which identical calls share one effect.
        dedupe_window: how long they share it, at most 366 days.

    Raises:
        ConfigurationError: an option has a value that it cannot have.
    """
    if effect not in ("read", "write", "once"):
        raise ConfigurationError(f"`{effect}` is no effect", mend="use `read`, `write` or `once`")
    options = ToolOptions(
        effect=effect,
        timeout=seconds(timeout),
        groups=tuple(groups),
        repeatable=repeatable,
        secrets=_secret_names(secrets),
        untrusted=bool(untrusted),
        marks=marks_of({**(labels or {}), UNTRUSTED: untrusted}, clean, names, names_result, ids),
        roles=Roles(_listed("targets", targets), _listed("items", items), _listed("texts", texts)),
        cost=_cost(cost),
        reconcile=reconcile,
        facts=dict(facts or {}),
        exposure=_exposure(exposure),
        dedupe=_dedupe(dedupe, effect),
        dedupe_window=_window(dedupe_window),
    )

    def mark(marked: Any) -> Any:
        if not inspect.isfunction(marked):
            raise ConfigurationError("`@tool` can only mark functions", mend="wrap the object in a function")
        setattr(marked, _MARK, options)
        return marked

    return mark if function is None else mark(function)


def options_of(candidate: object) -> ToolOptions | None:
    """Returns the options of a marked function; None for anything else."""
    options = getattr(candidate, _MARK, None)
    return options if isinstance(options, ToolOptions) else None


def marks_of(
    labels: Mapping[str, Fields],
    clean: Sequence[str],
    names: Sequence[str],
    names_result: str | None,
    ids: Mapping[str, str] | None,
) -> Marks:
    """Returns the marks that options stand for.

    Raises:
        ConfigurationError: a label is a word that rules know, or `clean` excepts from nothing.
    """
    for label, fields in labels.items():
        if not _LABEL.fullmatch(str(label)) or label in OWN_WORDS:
            what = f"`{label}` is no label"
            raise ConfigurationError(what, mend="use small letters, digits, `_` and `-`, and no word that rules know")
        if not isinstance(fields, bool):
            _listed("untrusted" if label == UNTRUSTED else f"labels.{label}", fields)
    if clean and not labels[UNTRUSTED]:
        raise ConfigurationError(
            "`clean` excepts fields from `untrusted`", mend="add `untrusted=True`, or leave it out"
        )
    found = {label: () if fields is True else tuple(fields) for label, fields in labels.items() if fields}
    return Marks(found, _listed("clean", clean), _listed("names", names), names_result, dict(ids or {}))


def _listed(option: str, names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise ConfigurationError(f"`{option}` is a list", mend=f'write `{option}=["{names}"]`')
    return tuple(names)


def _cost(text: str | None) -> int:
    try:
        return 0 if text is None else parse_usd(text)
    except (MoneyError, TypeError):
        raise ConfigurationError(f"`{text}` is no cost", mend='write US dollars as text: `cost="0.05"`') from None


def _dedupe(scope: str | None, effect: str) -> Dedupe | None:
    if scope is None:
        return None
    if scope not in ("run", "tenant"):
        raise ConfigurationError(f"`{scope}` is no scope of `dedupe`", mend="use `run` or `tenant`")
    if effect == "read":
        raise ConfigurationError("`dedupe` prevents a second effect, and a `read` has no effect", mend="leave it out")
    return scope


def _exposure(given: Mapping[str, Callable[..., Any]] | None) -> Mapping[str, Callable[..., Any]]:
    if given is None:
        return {}
    if not isinstance(given, Mapping) or len(given) > _MOST_METERS:  # pyright: ignore[reportUnnecessaryIsInstance]
        mend = 'write `exposure={"refunds_usd": lambda amount: amount}`'
        raise ConfigurationError(f"`exposure` has a function for each of at most {_MOST_METERS} meters", mend=mend)
    for name, function in given.items():
        if not _METER.fullmatch(str(name)):
            mend = "use letters, digits and `_`, at most 64, a letter first"
            raise ConfigurationError(f"`{name}` is no name of a meter", mend=mend)
        if not inspect.isfunction(function) or inspect.iscoroutinefunction(function):
            raise ConfigurationError(f"the exposure `{name}` is no plain function", mend="use `def` or `lambda`")
    return dict(given)


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
