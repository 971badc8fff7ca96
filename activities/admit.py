"""Admits a run: fixes what it may do and spend, before anything happens."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.admission import Admission, AdmitInput
from backstay.contracts.problems import plain_problems
from backstay.errors import InvalidInputError
from backstay.ports import Catalog, Gate


class Admit:
    """The activity `admit`."""

    def __init__(self, catalog: Catalog, gate: Gate, search_attributes: bool) -> None:
        self._catalog = catalog
        self._gate = gate
        self._search_attributes = search_attributes

    @activity.defn(name=names.ADMIT)
    async def admit(self, given: AdmitInput) -> Admission:
        """Returns the admission record.

        Raises:
            ApplicationError: of type `InvalidInput`, not retried; its details list every problem.
        """
        try:
            admission = self._catalog.admission(given)
        except InvalidInputError as error:
            raise ApplicationError(
                str(error), plain_problems(error.problems), type=error.code, non_retryable=True
            ) from None
        fixed = {"policy_version": self._gate.version(given.agent), "search_attributes": self._search_attributes}
        return admission.model_copy(update=fixed)
