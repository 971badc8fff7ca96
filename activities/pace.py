"""Puts the rate of a provider's account in force on the server, where all workers are held to it."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.quota import PacedRate, PaceInput, QuotaRef
from backstay.errors import HistoryError
from backstay.ports import Rates


class Pace:
    """The activities `pace` and `paced`."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates

    @activity.defn(name=names.PACE)
    async def pace(self, given: PaceInput) -> PacedRate:
        """Sets the rate of an account's task queue, and returns it.

        Raises:
            ApplicationError: of type `HistoryError`: the engine could not be asked.
        """
        try:
            await self._rates.put(given.account, given.rate, given.why)
        except HistoryError as error:
            raise ApplicationError(str(error), type=error.code) from error
        return PacedRate(rate=given.rate, why=given.why)

    @activity.defn(name=names.PACED)
    async def paced(self, given: QuotaRef) -> PacedRate:
        """Returns the rate that is in force for an account.

        Raises:
            ApplicationError: of type `HistoryError`: the engine could not be asked.
        """
        try:
            return await self._rates.of(given.account)
        except HistoryError as error:
            raise ApplicationError(str(error), type=error.code) from error
