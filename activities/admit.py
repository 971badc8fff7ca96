"""Admits a run: fixes what it may do and spend, before anything happens."""

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from backstay.contracts import names
from backstay.contracts.admission import Admission, AdmitInput
from backstay.contracts.problems import Problem, plain_problems
from backstay.contracts.proof import METADATA_KEY
from backstay.errors import ForeignRunError, InvalidInputError
from backstay.kernel.control import Stage
from backstay.kernel.scope import Subject
from backstay.ports import Catalog, Gate, Proofs, Starts

from .at_once import AtOnce
from .prepare import this_run


class Admit:
    """The activity `admit`."""

    def __init__(self, catalog: Catalog, gate: Gate, at_once: AtOnce, proofs: Proofs, starts: Starts) -> None:
        self._catalog = catalog
        self._at_once = at_once
        self._gate = gate
        self._proofs = proofs
        self._starts = starts

    @activity.defn(name=names.ADMIT)
    async def admit(self, given: AdmitInput) -> Admission:
        """Returns the admission record.

        Raises:
            ApplicationError: of type `InvalidInput`, not retried; its details list every problem. Of type
                `IncidentStop` where a stop covers the run, and of type `Held` where nobody knows of one.
        """
        try:
            if given.parent is not None:
                await self._check_parent()
            admission = self._catalog.admission(given)
            if given.parent is None:
                await self._check_proof(given)
        except InvalidInputError as error:
            raise ApplicationError(
                str(error), plain_problems(error.problems), type=error.code, non_retryable=True
            ) from None
        self._check_stops(given, admission.model.name)
        fixed = {
            "policy_version": self._gate.version(given.agent),
            "proofs": self._proofs.stance,
            "proven": given.proof is not None if given.parent is None else given.parent.proven,
            # A child takes no place of its own: it would wait for one that its parent has.
            "queues": given.parent is None and bool(self._at_once.limits(given.tenant, given.agent)),
        }
        return admission.model_copy(update=fixed)

    def _check_stops(self, given: AdmitInput, model: str) -> None:
        run = this_run().workflow_id
        held = self._at_once.control.holds(Stage.STARTS, Subject(run, given.agent, given.tenant, model=model))
        if held is not None:
            kind = names.HELD if held.incident is None else names.INCIDENT_STOP
            benign = ApplicationErrorCategory.BENIGN
            raise ApplicationError(held.why, held.incident, type=kind, non_retryable=True, category=benign)

    async def _check_parent(self) -> None:
        """Checks that a run above has started this one: what it hands down replaces proofs and draws.

        Raises:
            InvalidInputError: none has.
            HistoryError: the engine does not say; the run waits until it does.
        """
        try:
            await self._starts.check_parent(this_run())
        except ForeignRunError as error:
            raise InvalidInputError([Problem(field="parent", problem=str(error))]) from None

    async def _check_proof(self, given: AdmitInput) -> None:
        """Checks who asks for the run, where they prove it or must; a proof starts one run.

        Raises:
            InvalidInputError: the proof does not hold, was used before, or is missing.
            HistoryError: whether it was used before cannot be told; the run waits until it can.
        """
        field = f"metadata.{METADATA_KEY}"
        if given.proof is None:
            if self._proofs.stance == "required":
                raise InvalidInputError([Problem(field=field, problem="a proof is required: sign the request")])
            return
        answer = await self._proofs.verify(given.proof)
        if answer.code is not None:
            raise InvalidInputError([Problem(field=field, problem=answer.text)])
        if await self._starts.used_before(this_run(), given.proof.proof):
            text = "this proof has started a run of this id before: sign again"
            raise InvalidInputError([Problem(field=field, problem=text)])
