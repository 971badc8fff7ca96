"""Has ledgers count what calls mean in the domain, before anybody judges them."""

import asyncio
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.admission import Opening
from backstay.contracts.exposure import MeterSpec
from backstay.contracts.ledger import LedgerRef
from backstay.contracts.metering import Metered, MeterInput, MeterResult
from backstay.contracts.policy import SumsBefore
from backstay.errors import LedgerUnansweredError, UnservedError
from backstay.kernel.counted import counted_amounts, sums_of
from backstay.kernel.keys import hold_id, meter_id, short_digest
from backstay.kernel.ledger import Asked, Holder
from backstay.kernel.ledger_sums import Counts, Crossing, Limit, meter_of, quantity_of
from backstay.ports import Allowances

from .conversation import Conversations
from .heartbeat import beating
from .hold import Holds
from .prepare import nothing_done, this_run
from .review import Reviewer

Where = Sequence[tuple[LedgerRef, tuple[Limit, ...]]]
_NONE: Counts = {}


@dataclass(frozen=True, slots=True)
class _Counting:
    """A call that ledgers are asked to count: the name of its hold, and what it adds to each meter."""

    call_id: str
    name: str
    exposure: dict[str, int]


class Meter:
    """The activity `meter`."""

    def __init__(self, conversations: Conversations, reviewer: Reviewer, allowances: Allowances, holds: Holds) -> None:
        self._conversations = conversations
        self._reviewer = reviewer
        self._allowances = allowances
        self._holds = holds

    @activity.defn(name=names.METER)
    async def meter(self, given: MeterInput) -> MeterResult:
        """Holds what each call adds to meters in the ledgers that count them, in the order asked.

        Raises:
            ApplicationError: of type `LedgerUnanswered`: a ledger does not say whether there is room. Of type
                `Unserved` or `UnservedTool`: another worker may measure the calls. Of type `ForeignRun`: the workflow
                that asks is no run of this task queue.
        """
        opening = await self._conversations.opening(this_run())
        try:
            async with beating():
                return await self._metered(opening, given)
        except UnservedError as error:
            raise nothing_done(error) from None
        except LedgerUnansweredError as error:
            raise ApplicationError(str(error), type=error.code, non_retryable=True) from None

    async def _metered(self, opening: Opening, given: MeterInput) -> MeterResult:
        meters = {name: meter for name, meter in opening.admission.exposure.items() if meter.counted}
        where = self._allowances.of_meters(opening.tenant, opening.agent, meters)
        counting = await self._measured(given, meters)
        # They are all sent before any is answered, so that one update of a ledger takes them, in the order asked.
        told = tuple(hold_id(opening.run_key, name) for name in given.happened)
        asking = [self._asked(opening, one, given.agreed.get(one.call_id, {})) for one in counting]
        asking[:1] = [replace(first, happened=told) for first in asking[:1]]
        results = await asyncio.gather(
            *(self._held(opening, one, where, asked) for one, asked in zip(counting, asking, strict=True)),
            return_exceptions=True,
        )
        found = MeterResult()
        for one, result in zip(counting, results, strict=True):
            if isinstance(result, BaseException):
                raise result
            metered, warnings = result
            found.calls[one.call_id] = metered
            found.warnings.extend(warnings)
        return found

    async def _measured(self, given: MeterInput, meters: Mapping[str, MeterSpec]) -> list[_Counting]:
        """Finds out what each call adds to meters that ledgers count; calls that do not fit their tool add nothing."""
        question, found = given.question, list[_Counting]()
        self._reviewer.check_served(question, question.calls)
        measure = functools.partial(self._reviewer.measured, question)
        for call, one in zip(
            question.calls, await self._reviewer.in_time(question, question.calls, measure), strict=True
        ):
            exposure = {name: amount for name, amount in one.verdict.exposure.items() if name in meters}
            revision = given.revisions.get(call.call_id, 0)
            if exposure:
                name = meter_id(call.call_id, revision, short_digest(call.content))
                found.append(_Counting(call.call_id, name, exposure))
        return found

    def _asked(self, opening: Opening, one: _Counting, agreed: SumsBefore) -> Asked:
        run, draws = this_run(), opening.admission.draws
        alone = draws is not None and draws.agent_only
        return Asked(
            hold_id(opening.run_key, one.name),
            Holder(opening.run_key, run.workflow_id, run.run_id, opening.agent, alone),
            counted_amounts(one.exposure, one.exposure),
            (),
            {quantity_of(name): sums for name, sums in agreed.items()},
        )

    async def _held(
        self, opening: Opening, one: _Counting, where: Where, asked: Asked
    ) -> tuple[Metered, list[Crossing]]:
        meters = opening.admission.exposure
        answer = await self._holds.hold(where, asked)
        told = answer.held[0].hold.sums if answer.held else answer.excess.sums if answer.excess else _NONE
        sums = sums_of(told, {name: meters[name].counted for name in one.exposure})
        metered = Metered(
            name=one.name,
            exposure=one.exposure,
            held=answer.held,
            excess=answer.excess,
            sums={name: dict(by_period) for name, by_period in sums.items()},
            limits=_lowest(where[0][1], sums),
        )
        return metered, answer.warnings


def _lowest(limits: Iterable[Limit], sums: Counts) -> SumsBefore:
    """Returns the lowest limit of each sum of a tenant."""
    found: SumsBefore = {}
    for limit in limits:
        name, period = meter_of(limit.quantity) or "", limit.period
        if limit.account == "tenant" and period is not None and period in sums.get(name, {}):
            known = found.setdefault(name, {})
            known[period] = min(limit.most, known.get(period, limit.most))
    return found
