"""Reads the ledgers that count over many runs: what is spent, held and left of each limit."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from temporalio.client import Client

from backstay.adapters.engine.errors import in_our_words
from backstay.client.entities import entities, read
from backstay.contracts import names
from backstay.contracts.ledger import LedgerView
from backstay.kernel.keys import ledger_id
from backstay.kernel.ledger import Spender
from backstay.kernel.ledger_period import Period, Span
from backstay.kernel.ledger_sums import NOW, Sum


@dataclass(frozen=True, slots=True)
class Line:
    """One sum of a ledger, and its limit.

    Attributes:
        level: `organisation`, `tenant` or `agent`.
        tenant: None for the organisation.
        agent: None for the other levels.
        quantity: `usd` in micro-dollars, `tokens`, `runs`, or `exposure:NAME` in ten-thousandths.
        period: None for runs at once.
        key: the period, such as `2026-11-30`.
        limit: None where nothing limits it.
        forecast: what will be spent by the end of the period at the present rate; None where there is no period.
    """

    level: str
    tenant: str | None
    agent: str | None
    quantity: str
    period: Period | None
    key: str
    limit: int | None
    spent: int
    held: int
    forecast: int | None

    @property
    def left(self) -> int | None:
        """The most that a further hold may take; None where nothing limits it."""
        return None if self.limit is None else max(0, self.limit - self.spent - self.held)


@dataclass(frozen=True, slots=True)
class Top:
    """A run that is among those that spent most in a period."""

    tenant: str | None
    period: Period
    spender: Spender


async def ledgers(client: Client, tenant: str | None = None) -> AsyncGenerator[LedgerView]:
    """Yields the open ledgers, as their workflows answer or else as they last wrote it down.

    Args:
        client: the Temporal client.
        tenant: yields that tenant's ledger and the organisation's alone.

    Raises:
        UnreachableError: Temporal does not answer.
    """
    with in_our_words(client, ""):
        ids = None if tenant is None else (ledger_id(tenant), ledger_id(None))
        for execution in await entities(client, names.TENANT_LEDGER, ids):
            if (found := await read(client, execution, names.BOOKS, LedgerView)) is not None:
                yield found


def lines(view: LedgerView, now_ms: int) -> list[Line]:
    """Returns the sums and limits of a ledger in the day and the month of a moment."""
    spans = {span.period: span for span in view.spans if span.holds(now_ms)}
    wanted: dict[tuple[str, str, Period | None], int | None] = {}
    for account, quantities in view.books.sums.by_account.items():
        for quantity, sums in quantities.items():
            for period in (None,) if NOW in sums else tuple(Period):
                wanted[account, quantity, period] = None
    for limit in view.limits:
        known = wanted.get((limit.account, limit.quantity, limit.period))
        wanted[limit.account, limit.quantity, limit.period] = limit.most if known is None else min(known, limit.most)
    return [_line(view, spans.get(key[2]) if key[2] else None, key, most, now_ms) for key, most in wanted.items()]


def top(view: LedgerView, now_ms: int) -> list[Top]:
    """Returns the runs that spent most in the day and in the month of a moment, the dearest first."""
    spans = [span for span in view.spans if span.holds(now_ms)]
    return [Top(view.ledger.tenant, span.period, one) for span in spans for one in view.books.top.get(span.key, ())]


def _line(
    view: LedgerView, span: Span | None, key: tuple[str, str, Period | None], limit: int | None, now_ms: int
) -> Line:
    account, quantity, period = key
    at = NOW if period is None else span.key if span else ""
    found = view.books.sums.at(account, quantity, at) if at else Sum()
    forecast = None
    if span is not None:
        gone = max(1, now_ms - span.start_ms)
        forecast = found.spent * (span.end_ms - span.start_ms) // gone
    level, _, agent = account.partition(":")
    return Line(
        level, view.ledger.tenant, agent or None, quantity, period, at, limit, found.spent, found.held, forecast
    )
