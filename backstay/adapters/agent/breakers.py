"""Reads the tables `[[breakers]]` of `org.toml`: what trips a stop by itself."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from backstay.contracts.money import Usd
from backstay.contracts.problems import Contract
from backstay.kernel.breaker import ALARM, DEFAULT_ON, NAMES, RUNAWAY_SPEND, USD, Breaker, Count, Share, Spend, Then
from backstay.kernel.money import parse_usd
from backstay.kernel.nearest import did_you_mean
from backstay.kernel.scope import ScopeKind
from backstay.tools.declare import seconds

from .config import Duration

MOST = 100
"""The most reports or failures that a rule looks at one by one."""
LONGEST_SECONDS = 86_400
_SPEND = ("times", "floor", "limit")
_SHARE = ("share", "of_last", "hold", "within")
_COUNT = ("count", "window")


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _known(reason: str) -> str:
    if reason not in (USD, ALARM, *NAMES):
        meant = did_you_mean(reason, (USD, ALARM, *NAMES))
        mend = meant or 'write for example "tool_failures", "usd" or "alarm"'
        raise ValueError(f"`{reason}` is no stop reason and no code of a verdict; {mend}")
    return reason


def _short(value: str) -> str:
    if not 0.001 <= seconds(value) <= LONGEST_SECONDS:
        raise ValueError("expected a time of at most a day")
    return value


Reason = Annotated[str, Field(strict=True), AfterValidator(_known)]
Span = Annotated[Duration, AfterValidator(_short)]
Number = Annotated[int, Field(ge=1, le=MOST, strict=True)]


class BreakerTable(Contract):
    """One breaker. It judges each scope of its kind by itself, and stops only the one in which it trips.

    What people, rules and budgets end (`killed`, `incident_stop`, `policy_denied`, `approval_denied`,
    `approval_expired`, `budget_exhausted`) counts neither as good nor as bad, unless `on` names it.

    Attributes:
        name: names it in `backstay breakers` and in incidents; default: made of `scope` and `on`. A later one replaces
            an earlier one of its name; `runaway-spend` replaces the one that is on by default.
        scope: what it judges and stops: each `agent`, `tool`, `tenant` or `model`; for `usd` also `all` together.
            A tool is judged by its calls, all others by runs that end.
        on: the stop reasons and codes of verdicts that count as failures, or `usd`, or `alarm`, which tools raise with
            `call.raise_alarm(reason)`; default: those that no person, rule or budget chose.
        share: trips when at least this part of the last reports failed; default: 0.4, where there is no `count`.
        of_last: how many reports `share` looks at; more where more come within `hold`; default: 20.
        min_runs: in how many different runs there must be failures; default: 5 with `share`, 1 with `count`.
        hold: for how long `share` must be exceeded, so that a short outage trips nothing; default: 60s.
        within: reports that are older do not count for `share`; default: 30m.
        count: trips at this many failures within `window`; default with `alarm`: 1.
        window: the time in which `count` failures trip; default: 60s.
        times: with `usd`: trips when ten minutes cost this many times what ten minutes of the last day seldom exceed;
            default: 3 with `warn`, else 5.
        floor: with `usd`: ten minutes that cost less, in US dollars, are never too much; default: 5.00.
        limit: with `usd`: ten minutes that cost this much, in US dollars, are always too much. Until there is a day of
            history it alone holds.
        then: `freeze` holds what is in scope until somebody lifts it, `stop` ends runs, `warn` only tells people;
            default: `freeze`, with `usd`: `warn`.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", strict=True)] | None = None
    scope: Literal["agent", "tool", "tenant", "model", "all"]
    on: Annotated[list[Reason], Field(min_length=1), BeforeValidator(_listed)] | None = None
    share: Annotated[float, Field(gt=0, le=1, strict=True)] | None = None
    of_last: Number | None = None
    min_runs: Number | None = None
    hold: Span | None = None
    within: Span | None = None
    count: Number | None = None
    window: Span | None = None
    times: Annotated[int, Field(ge=2, le=1_000, strict=True)] | None = None
    floor: Usd | None = None
    limit: Usd | None = None
    then: Literal["freeze", "stop", "warn"] | None = None

    @model_validator(mode="after")
    def _fits(self) -> "BreakerTable":
        given = self.model_fields_set
        for alone in (USD, ALARM):
            if alone in (self.on or ()) and len(self.on or ()) > 1:
                raise ValueError(f"`{alone}` stands alone in `on`: write another breaker for the rest")
        if self.scope == "all" and not self.spends:
            raise ValueError('the scope `all` is for `on = "usd"`: name `agent`, `tool`, `tenant` or `model`')
        mistaken = (*_SHARE, *_COUNT, "min_runs") if self.spends else _SPEND
        self._refuse(given, mistaken, "does not go with `usd`" if self.spends else 'is for `on = "usd"`')
        if self.most is not None:
            self._refuse(given, _SHARE, f"does not go with `{ALARM if self.heeds_alarms else 'count'}`")
        else:
            self._refuse(given, ("window",), "is for `count`: a share has `hold`")
        if self.most is None and (self.min_runs or 1) > (self.of_last or Share().of_last):
            raise ValueError("`min_runs` is more than `of_last`, so that it would never trip")
        if self.most is not None and (self.min_runs or 1) > self.most:
            raise ValueError("`min_runs` is more than `count`: the last failures come from no more runs than that")
        return self

    @staticmethod
    def _refuse(given: Iterable[str], keys: Sequence[str], why: str) -> None:
        if wrong := [key for key in keys if key in given]:
            raise ValueError(f"`{wrong[0]}` {why}")

    @property
    def spends(self) -> bool:
        """Tells whether it is about money."""
        return USD in (self.on or ())

    @property
    def heeds_alarms(self) -> bool:
        """Tells whether it is about alarms of tools."""
        return ALARM in (self.on or ())

    @property
    def most(self) -> int | None:
        """The failures, or the alarms, at which it trips; None where it looks at a share, or at money."""
        return self.count or (1 if self.heeds_alarms else None)

    @property
    def named(self) -> str:
        """Its own name, or one made of its scope and of what it counts."""
        return self.name or "-".join([self.scope, *(self.on or ["failures"])]).replace("_", "-")[:64]

    def rule(self, name: str) -> Breaker:
        """Returns the rule, under a name."""
        then = Then(self.then or ("warn" if self.spends else "freeze"))
        rule = Breaker(name, ScopeKind(self.scope), then, tuple(sorted(set(self.on or DEFAULT_ON))))
        if self.spends:
            return replace(rule, on=(), spend=self._spend(then))
        if self.most is not None:
            window = _milliseconds(self.window) or Count(1).window_ms
            return replace(rule, count=Count(self.most, window, self.min_runs or 1))
        return replace(rule, share=self._share())

    def _spend(self, then: Then) -> Spend:
        usual = Spend(times=3 if then is Then.WARN else 5)
        return Spend(
            self.times or usual.times,
            usual.floor if self.floor is None else parse_usd(self.floor),
            None if self.limit is None else parse_usd(self.limit),
        )

    def _share(self) -> Share:
        usual, of_last = Share(), self.of_last or Share().of_last
        return Share(
            usual.per_mille if self.share is None else max(1, round(self.share * 1_000)),
            of_last,
            self.min_runs or min(usual.min_runs, of_last),
            _milliseconds(self.hold) or usual.hold_ms,
            _milliseconds(self.within) or usual.within_ms,
        )


def _milliseconds(span: str | None) -> int | None:
    return None if span is None else max(1, round(seconds(span) * 1_000))


def rules_of(folders: Iterable[Sequence[BreakerTable]]) -> tuple[Breaker, ...]:
    """Returns the rules of all folders: the one that is on by default, then theirs; a name stands for the last of it.

    Args:
        folders: the tables of each folder.
    """
    rules = {RUNAWAY_SPEND.name: RUNAWAY_SPEND}
    for tables in folders:
        for table in tables:
            name, number = table.named, 1
            while table.name is None and name in rules:
                number += 1
                name = f"{table.named[:60]}-{number}"
            rules[name] = table.rule(name)
    return tuple(rules.values())
