"""ProviderQuota: the rate of a provider's account, which one workflow lowers and raises for all workers.

The rate is in force on the server, in the account's task queue: while this workflow is silent calls go on at the last
one.
"""

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError
from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.messages import read_message
from backstay.contracts.problems import Problem
from backstay.contracts.quota import (
    PacedRate,
    PaceInput,
    QuotaInput,
    QuotaRef,
    QuotaView,
    SetQuota,
    Throttled,
    per_minute,
    why,
)
from backstay.contracts.run import plain
from backstay.kernel.history import nearly_full
from backstay.kernel.ledger_period import milliseconds
from backstay.kernel.quota import Quota

from . import options
from .entity import done, failing
from .messages import invalid_input, repetitions
from .run.measure import rate_lowered

MESSAGES_PER_LINK = 1_000
MOST_EVENTS = 8_000
"""A rate that climbs takes a few events with each step: links stay short enough to be read again in a second."""
AGAIN = timedelta(seconds=5)
"""The wait after the server did not take a rate."""
_THROTTLED = "Tells that the provider refused a call because of its rate. Sent by the runtime."
_SET = "Sets the rate, or takes the limit away. Sent by `backstay quota set`."


@workflow.defn(name=names.PROVIDER_QUOTA)
class ProviderQuota:
    """A workflow that is told of refusals, and puts the rate that follows from them in force."""

    @workflow.init
    def __init__(self, *args: Any) -> None:
        given = repetitions() or QuotaInput.read(args, continued=workflow.info().continued_run_id is not None)
        self._problems: list[Problem] = given if isinstance(given, list) else []
        self._given = None if isinstance(given, list) else given
        self._quota: Quota | None = None if isinstance(given, list) else given.quota
        """None until somebody set the rate, or the server told which one is in force."""
        self._setting: SetQuota | None = None if isinstance(given, list) else given.setting
        self._paced = self._shown = self._quota
        """The rate that the server has in force, and the one that the memo shows."""
        self._early: list[Throttled] = []
        self._messages = 0

    @workflow.run
    async def run(self, *args: Any) -> None:
        """Keeps the rate for ever, in one link after the other; never returns."""
        if self._given is None:
            raise invalid_input(self._problems)
        with failing("the rate's workflow"):
            await self._keep(self._given)

    async def _keep(self, given: QuotaInput) -> None:
        if self._quota is None:
            found = await done(names.PACED, QuotaRef(account=given.account), PacedRate, options.PACED)
            if self._quota is None:  # nobody has set it meanwhile
                self._paced = self._quota = Quota(found.configured, found.rate)
        for told in self._early:
            self._refused(told)
        while not self._full() or not self._in_force():
            await self._one_turn(given.account)
        await workflow.wait_condition(workflow.all_handlers_finished)
        carried = given.model_copy(update={"quota": self._quota, "setting": self._setting})
        workflow.continue_as_new(plain(carried), memo={names.QUOTA: plain(self._view(given.account))})

    async def _one_turn(self, account: str) -> None:
        """Puts the rate in force where it has changed, shows it, and waits for a refusal, a setting or a step."""
        quota = self._quota or Quota()
        if not self._in_force():
            await self._pace(account, quota)
            return
        if self._shown is None or _told(self._shown) != _told(quota):
            self._shown = quota
            workflow.upsert_memo({names.QUOTA: plain(self._view(account))})
        now_ms, due = milliseconds(workflow.now()), quota.next_ms()
        try:
            await workflow.wait_condition(
                lambda: self._full() or self._quota is not quota or self._paced is None,
                timeout=None if due is None else timedelta(milliseconds=max(1, due - now_ms)),
                timeout_summary="before the rate is raised by a step",
            )
        except TimeoutError:
            self._quota = quota.raised(milliseconds(workflow.now()))
            if not self._quota.lowered:
                words = "the rate of account %s is back at %s requests per minute"
                workflow.logger.warning(words, account, per_minute(quota.configured or 0))

    async def _pace(self, account: str, quota: Quota) -> None:
        given = PaceInput(account=account, rate=quota.rate, why=why(quota, self._setting))
        rate = "no limit" if quota.rate is None else f"{per_minute(quota.rate)} requests per minute"
        how: ActivityConfig = {**options.PACE, "summary": rate}
        self._paced = quota
        try:
            await done(names.PACE, given, PacedRate, how)
        except ActivityError:
            # What is in force is not known. A setting may have come meanwhile, and is put in force then.
            self._paced = None
            await workflow.sleep(AGAIN, summary="before the server is asked again to take the rate")

    def _in_force(self) -> bool:
        """Tells whether the server is known to have the rate."""
        return self._paced is not None and self._quota is not None and self._paced.rate == self._quota.rate

    @workflow.signal(name=names.THROTTLED, description=_THROTTLED)
    def throttled(self, *args: Any) -> None:
        """Lowers the rate, unless another refusal of the same burst already did."""
        told = read_message(Throttled, args)
        self._messages += 1
        if isinstance(told, list) or self._given is None:
            return
        if self._quota is None:
            self._early.append(told)
        else:
            self._refused(told)

    @workflow.signal(name=names.SET_QUOTA, description=_SET)
    def set_quota(self, *args: Any) -> None:
        """Sets the rate anew; what was refused before is forgotten."""
        setting = read_message(SetQuota, args)
        self._messages += 1
        if not isinstance(setting, list):
            self._setting, self._quota = setting, Quota(setting.rate, setting.rate)
            self._paced = self._shown = None
            self._early.clear()

    @workflow.query(name=names.QUOTA, description="The rate as it is now.")
    def quota(self, *args: Any) -> dict[str, Any]:
        """Returns a `QuotaView`."""
        if self._given is None:
            raise invalid_input(self._problems)
        return plain(self._view(self._given.account))

    def _refused(self, told: Throttled) -> None:
        before = self._quota or Quota()
        after = self._quota = before.refuse(milliseconds(workflow.now()), told.wait_ms)
        account = self._given.account if self._given else ""
        if after.rate is None and after.refusals == 1:
            words = (
                "the provider of account %s refuses calls with HTTP 429, and no rate is set: `backstay quota set %s`"
            )
            workflow.logger.warning(words, account, account)
        elif after.rate is not None and before.rate is not None and after.rate < before.rate:
            rate_lowered(account)
            words = "the provider of account %s refuses calls with HTTP 429: lowered from %s to %s requests per minute"
            workflow.logger.warning(words, account, per_minute(before.rate), per_minute(after.rate))

    def _full(self) -> bool:
        info = workflow.info()
        events = info.get_current_history_length()
        full = nearly_full(info.get_current_history_size(), events) or events >= MOST_EVENTS
        return self._messages >= MESSAGES_PER_LINK or full

    def _view(self, account: str) -> QuotaView:
        quota = self._quota or Quota()
        return QuotaView(account=account, quota=quota, setting=self._setting, until_ms=quota.until_ms())


def _told(quota: Quota) -> tuple[int | None, int | None, int]:
    """Returns what a change must touch to be written down; of refusals alone the 1st, the 2nd, the 4th and so on."""
    return quota.configured, quota.rate, quota.refusals.bit_length()
