"""Has ledgers count what the calls of a run mean in the domain, where that is limited or counted over many runs.

A run whose tools add to no such meter does nothing of this: no activity, no event.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.decision import ProposedCall
from backstay.contracts.metering import Metered, MeterInput, MeterResult
from backstay.kernel.events import Counted
from backstay.kernel.keys import meter_id, metering_id, short_digest
from backstay.kernel.ledger_sums import Counts

from .. import options
from .authorize import question
from .ledgers import RunLedgers
from .live import LiveRun
from .served import served
from .words import names_words, summary

AT_ONCE = 100
"""The most calls in one activity: its result has to fit into one event of the history."""


class Meters:
    """The calls of a run as ledgers count them."""

    def __init__(self, run: LiveRun, ledgers: RunLedgers) -> None:
        self._run = run
        self._ledgers = ledgers
        self._counted = frozenset(name for name, meter in run.admission.exposure.items() if meter.counted)
        self.revisions = Counter[str]()
        """How often each call was counted, by its id."""
        self.happened_since: list[str] = []
        """The holds of calls that have happened since ledgers were last asked."""

    def counted(self, exposure: Mapping[str, int]) -> dict[str, int]:
        """Returns the part of a call's exposure that ledgers count."""
        return {name: amount for name, amount in exposure.items() if name in self._counted}

    async def count(self, calls: Sequence[ProposedCall], agreed: Counts | None = None) -> dict[str, Metered] | None:
        """Has ledgers hold what calls add, in the order asked; calls that ledgers do not count are left out.

        Args:
            calls: the calls.
            agreed: the sums up to which people let each of them above limits.

        Returns:
            The answer by call; None where the run was interrupted, and nothing of the calls is held.
        """
        wanted = [call for call in calls if self._counts(call.tool)]
        found: dict[str, Metered] = {}
        for first in range(0, len(wanted), AT_ONCE):
            part = await self._count(wanted[first : first + AT_ONCE], agreed or {})
            if part is None:
                for metered in found.values():
                    self.give_back(metered)
                return None
            found |= part
        return found

    def give_back(self, metered: Metered) -> None:
        """Tells ledgers that a call does not happen, as far as they hold it."""
        if metered.held:
            self._ledgers.give_back([metered.name], [one.ledger for one in metered.held])

    def happened(self, metered: Metered) -> None:
        """Remembers that a call has happened: ledgers are told with the next call, or when the run ends."""
        if metered.held:
            self.happened_since.append(metered.name)

    async def told(self) -> None:
        """Waits until ledgers know what was given back, so that they have room for it again."""
        await self._ledgers.told()

    def _counts(self, tool: str) -> bool:
        spec = self._run.admission.tool(tool)
        return spec is not None and not self._counted.isdisjoint(spec.exposure)

    async def _count(self, calls: Sequence[ProposedCall], agreed: Counts) -> dict[str, Metered] | None:
        run = self._run
        revisions = {call.call_id: self.revisions[call.call_id] for call in calls}
        self.revisions.update(revisions.keys())
        sums = {name: dict(by_period) for name, by_period in agreed.items()}
        happened, self.happened_since = self.happened_since, []
        given = MeterInput(
            question=question(run, calls).model_copy(update={"goal": ""}),
            revisions=revisions,
            agreed=dict.fromkeys(revisions, sums) if sums else {},
            happened=happened,
        )
        how: ActivityConfig = {
            **options.METER,
            "activity_id": metering_id(calls[0].call_id, revisions[calls[0].call_id]),
            "summary": summary(f"step {run.state.step}", names_words([call.tool for call in calls])),
        }

        async def ask(any_tool: bool) -> MeterResult:
            asked = given.question.model_copy(update={"any_tool": any_tool})
            return await run.running.execute(
                names.METER, given.model_copy(update={"question": asked}), MeterResult, how
            )

        result = await self._ledgers.answered(lambda: served(run, ask))
        if result is None:  # interrupted: ledgers may hold the calls all the same
            named = [meter_id(call.call_id, revisions[call.call_id], short_digest(call.content)) for call in calls]
            self._ledgers.know(self._ledgers.all)
            self._ledgers.give_back(named, self._ledgers.all)
            return None
        if not result.calls:  # no ledger was asked
            self.happened_since += happened
        self._ledgers.warn(result.warnings)
        tools = {call.call_id: call.tool for call in calls}
        for call_id, metered in result.calls.items():
            self._ledgers.know(one.ledger for one in metered.held)
            if metered.held:
                keys = metered.held[0].hold.keys
                run.apply(Counted(call_id, tools.get(call_id, ""), metered.name, metered.sums, keys))
        return result.calls
