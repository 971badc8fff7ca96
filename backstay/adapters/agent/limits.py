"""Reads the table `[limits]` of `org.toml`: what runs may spend together by day and month, and how many run at once."""

import time
from collections.abc import Callable, Collection, Container, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field

from backstay.contracts.admission import Draws
from backstay.contracts.exposure import ExposureLimit, MeterName, MeterSpec
from backstay.contracts.ledger import LedgerRef
from backstay.contracts.money import Usd
from backstay.contracts.problems import Contract
from backstay.contracts.run import Name, Tenant
from backstay.kernel.ledger_period import Period, Span, spans_around
from backstay.kernel.ledger_sums import RUNS, Limit, quantity_of
from backstay.kernel.meter import read_amount
from backstay.kernel.money import MoneyError, parse_usd

CEILING = "ceiling"
Count = Annotated[int, Field(ge=0, le=10**15, strict=True)]


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError('expected the name of a time zone, such as "Europe/Berlin" or "UTC"') from None
    return name


def _drawn(value: object) -> object:
    if value == CEILING:
        return value
    try:
        positive = isinstance(value, str) and parse_usd(value) > 0
    except MoneyError:
        positive = False
    if not positive:
        raise ValueError('expected "ceiling", or a lump of US dollars as text such as "0.10"')
    return value


Zone = Annotated[str, AfterValidator(_known_zone)]
Drawing = Annotated[str, BeforeValidator(_drawn)]


class UsdLimits(Contract):
    """US dollars by period.

    Attributes:
        day: in one day.
        month: in one month.
    """

    day: Usd | None = None
    month: Usd | None = None


class TokenLimits(Contract):
    """Tokens, input and output together, by period.

    Attributes:
        day: in one day.
        month: in one month.
    """

    day: Count | None = None
    month: Count | None = None


class ExposurePeriods(Contract):
    """A meter by period, as text; `true` counts it without a limit.

    Attributes:
        day: in one day.
        month: in one month.
    """

    day: ExposureLimit | None = None
    month: ExposureLimit | None = None


class LevelTable(Contract):
    """The limits of one level: all runs, those of a tenant, or those of an agent within each tenant.

    What is left out has no limit there.

    Attributes:
        usd: US dollars by day and month.
        tokens: tokens by day and month.
        exposure: what calls mean, by meter: `{ refunds_usd = { day = "5000" } }`.
        runs_at_once: how many runs may go on at once; further ones wait, in the order of their starts.
        draw: `ceiling`, the default: a run holds its whole ceiling at its admission; or a lump such as `0.10`: it
            holds US dollars as it needs them. Set on several levels, the agent's holds, then the tenant's.
    """

    usd: UsdLimits = UsdLimits()
    tokens: TokenLimits = TokenLimits()
    exposure: dict[MeterName, ExposurePeriods] = Field(default_factory=dict[str, ExposurePeriods])
    runs_at_once: Count | None = None
    draw: Drawing | None = None

    def limits(self, account: str, warn_at: int) -> tuple[Limit, ...]:
        """Returns the limits of what runs draw as a ledger counts them, for one of its accounts."""
        usd = {period: getattr(self.usd, period) for period in Period}
        found = [Limit(account, "usd", period, parse_usd(most), warn_at) for period, most in usd.items() if most]
        for period in Period:
            most = getattr(self.tokens, period)
            if most is not None:
                found.append(Limit(account, "tokens", period, most, warn_at))
        return tuple(found)

    def at_once(self, account: str) -> tuple[Limit, ...]:
        """Returns the limit of runs at once as a ledger counts it, for one of its accounts."""
        return () if self.runs_at_once is None else (Limit(account, RUNS, None, self.runs_at_once),)

    def of_meters(self, account: str, meters: Container[str], warn_at: int) -> tuple[Limit, ...]:
        """Returns the limits of some meters as a ledger counts them, for one of its accounts."""
        return tuple(
            Limit(account, quantity_of(name), period, read_amount(most), warn_at)
            for name, table in self.exposure.items()
            for period in Period
            if name in meters and isinstance(most := getattr(table, period), str)
        )

    def counts(self, meter: str) -> frozenset[Period]:
        """Returns the periods in which this level has a meter counted, with a limit or without."""
        table = self.exposure.get(meter, ExposurePeriods())
        return frozenset(period for period in Period if getattr(table, period) is not None)


class LimitsTable(Contract):
    """The table `[limits]`.

    Attributes:
        time_zone: where days and months begin; default: UTC.
        warn_at: the percentage of a limit at which people are warned, once in each period; default: 80.
        organisation: of all runs of all tenants.
        tenants: of all runs of a tenant.
        agents: of an agent's runs within each tenant.
    """

    time_zone: Zone | None = None
    warn_at: Annotated[int, Field(ge=1, le=100, strict=True)] | None = None
    organisation: LevelTable = LevelTable()
    tenants: dict[Tenant, LevelTable] = Field(default_factory=dict[str, LevelTable])
    agents: dict[Name, LevelTable] = Field(default_factory=dict[str, LevelTable])


@dataclass(frozen=True, slots=True)
class OrgLimits:
    """The limits of all levels, of all folders: where two set the same, the lower one holds.

    Attributes:
        tables: the tables of the folders, in their order.
    """

    tables: tuple[LimitsTable, ...] = ()
    zone: tzinfo = UTC
    warn_at: int = 80

    def with_table(self, table: LimitsTable) -> "OrgLimits":
        """Returns the limits with those of a further folder, whose time zone and share to warn at replace these."""
        zone = ZoneInfo(table.time_zone) if table.time_zone else self.zone
        return replace(self, tables=(*self.tables, table), zone=zone, warn_at=table.warn_at or self.warn_at)

    @property
    def any(self) -> bool:
        """Tells whether anything is limited or counted at all."""
        return any(
            level.limits("", self.warn_at) or level.exposure or level.at_once("") for level in self._all_levels()
        )

    def meters(self) -> list[str]:
        """Lists the meters that any level has counted."""
        return [name for level in self._all_levels() for name in level.exposure]

    def agents(self) -> list[str]:
        """Lists the agents that have limits of their own."""
        return [name for table in self.tables for name in table.agents]

    def limits(self, tenant: str, agent: str, *, agent_only: bool = False) -> list[tuple[LedgerRef, tuple[Limit, ...]]]:
        """Returns the ledgers that limit what a run draws, the tenant's first, each with its limits.

        Args:
            tenant: the run's tenant.
            agent: the run's agent.
            agent_only: leaves out all limits but those of the agent.
        """
        outer = ("organisation", "tenant") if agent_only else ()

        def of_level(level: LevelTable, account: str) -> tuple[Limit, ...]:
            return () if account in outer else level.limits(account, self.warn_at)

        return [(ledger, limits) for ledger, limits in self._by_ledger(tenant, agent, of_level) if limits]

    def at_once(self, tenant: str, agent: str) -> list[tuple[LedgerRef, tuple[Limit, ...]]]:
        """Returns the ledgers that limit how many runs go on at once, the tenant's first, each with its limits."""
        found = self._by_ledger(tenant, agent, lambda level, account: level.at_once(account))
        return [(ledger, limits) for ledger, limits in found if limits]

    def of_meters(
        self, tenant: str, agent: str, meters: Mapping[str, MeterSpec]
    ) -> list[tuple[LedgerRef, tuple[Limit, ...]]]:
        """Returns the ledgers that count some meters: the tenant's, then the organisation's if that limits one.

        Args:
            tenant: the run's tenant.
            agent: the run's agent.
            meters: the meters, with the limits that the run was admitted with.
        """
        (ledger, own), (whole, all_runs) = self._by_ledger(
            tenant, agent, lambda level, account: level.of_meters(account, meters, self.warn_at)
        )
        admitted = [limit for name, meter in meters.items() for limit in meter.limits(name, self.warn_at)]
        return [(ledger, (*admitted, *own)), *([(whole, all_runs)] if all_runs else [])]

    def counts(self, meter: str, tenant: str, agent: str) -> frozenset[Period]:
        """Returns the periods in which a level that holds for a run has a meter counted."""
        levels = (level for table in self.tables for level, _ in self._levels(table, tenant, agent))
        return frozenset(period for level in levels for period in level.counts(meter))

    def counts_for_some_tenant(self, meter: str) -> frozenset[Period]:
        """Returns the periods in which a meter is counted for any tenant by a level of that tenant alone."""
        levels = (level for table in self.tables for level in table.tenants.values())
        return frozenset(period for level in levels for period in level.counts(meter))

    def _by_ledger(
        self, tenant: str, agent: str, limits: Callable[[LevelTable, str], tuple[Limit, ...]]
    ) -> tuple[tuple[LedgerRef, tuple[Limit, ...]], tuple[LedgerRef, tuple[Limit, ...]]]:
        """Returns the tenant's ledger and the organisation's, each with its limits among those of all levels."""
        own: list[Limit] = []
        all_runs: list[Limit] = []
        for table in self.tables:
            for level, account in self._levels(table, tenant, agent):
                (all_runs if account == "organisation" else own).extend(limits(level, account))
        return (LedgerRef(tenant=tenant), tuple(own)), (LedgerRef(), tuple(all_runs))

    def draws(self, tenant: str, agent: str, above: Collection[str] | None = None) -> Draws | None:
        """Returns how a run draws; None where nothing limits it. The agent's own word wins, then the tenant's.

        Args:
            tenant: the run's tenant.
            agent: the run's agent.
            above: the agents of the runs above it, which draw for it too: of what their own limits count nothing is
                drawn again. None where no run is above.
        """
        below = above is not None
        if (below and agent in above) or not self.limits(tenant, agent, agent_only=below):
            return None
        draw = CEILING
        for table in self.tables:
            for level, _ in self._levels(table, tenant, agent):
                draw = level.draw or draw
        return Draws(lump=None if draw == CEILING else parse_usd(draw), agent_only=below)

    def spans(self, at_ms: int | None = None) -> tuple[Span, ...]:
        """Returns the days and months around a moment, or around now, in the organisation's time zone."""
        at = self.now_ms() if at_ms is None else at_ms
        return spans_around(datetime.fromtimestamp(at / 1000, UTC), self.zone)

    def now_ms(self) -> int:
        """Returns the time in milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def _all_levels(self) -> list[LevelTable]:
        return [
            level
            for table in self.tables
            for level in (table.organisation, *table.tenants.values(), *table.agents.values())
        ]

    def _levels(self, table: LimitsTable, tenant: str, agent: str) -> list[tuple[LevelTable, str]]:
        """Returns the levels that hold for a run, the outermost first, with their accounts."""
        found = [
            (table.organisation, "organisation"),
            (table.tenants.get(tenant), "tenant"),
            (table.agents.get(agent), f"agent:{agent}"),
        ]
        return [(level, account) for level, account in found if level is not None]


NO_LIMITS = OrgLimits()
"""The limits of an organisation that sets none."""
