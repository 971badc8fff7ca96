"""Asks a tool whether a call with an unknown outcome happened."""

import asyncio

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.call import RESULT_BYTES, ActInput, Reconciled, shortened
from backstay.errors import HistoryError, NothingDoneError
from backstay.telemetry import activities as spans

from .execute import ERROR_CHARACTERS, said
from .heartbeat import beating, cancelled_at_all
from .prepare import Preparer, nothing_done, this_run


class Reconcile:
    """The activity `reconcile`; it asks, and changes nothing."""

    def __init__(self, preparer: Preparer) -> None:
        self._preparer = preparer

    @activity.defn(name=names.RECONCILE)
    async def reconcile(self, given: ActInput) -> Reconciled:
        """Returns the answer of the tool's own `reconcile`; `unknown` where it has none or the call no longer fits.

        Raises:
            ApplicationError: the tool could not be asked; another try may succeed.
        """
        async with beating():
            try:
                with spans.reconcile(await self._preparer.opening(this_run()), given) as answered:
                    answer = await self._answer(given)
                    answered(answer)
            except NothingDoneError as error:
                raise nothing_done(error) from None
            except HistoryError as error:
                raise ApplicationError(str(error), type=error.code) from error
            except TimeoutError:
                raise ApplicationError("no answer in time", type=names.TOOL_TIMEOUT) from None
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError) and cancelled_at_all():
                    raise asyncio.CancelledError from None
                # The engine keeps the text of a failure, and a tool may have put a secret into it.
                text = self._preparer.secrets.scrubbed(f"{type(error).__name__}: {said(error)}")
                raise ApplicationError(text[:ERROR_CHARACTERS], type=type(error).__name__) from None
        text, _ = shortened(self._preparer.secrets.scrubbed(answer.text), RESULT_BYTES)
        return answer.model_copy(update={"text": text})

    async def _answer(self, given: ActInput) -> Reconciled:
        _, prepared = await self._preparer.prepare(this_run(), given, asks=True)
        if prepared is None:
            return Reconciled(answer="unknown")
        async with asyncio.timeout(prepared.tool.spec.timeout):
            answer = await prepared.tool.reconcile(prepared.call, prepared.values)
        return answer.model_copy(update={"alarm": prepared.alarm.words})
