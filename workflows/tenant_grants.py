"""TenantGrants: the standing grants of a tenant, for all its runs.

A grant is believed as long as this workflow lives: one that was ended by hand takes all grants with it, and whoever
needs one asks people again.
"""

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from backstay.contracts import names
from backstay.contracts.messages import read_message
from backstay.contracts.problems import Problem
from backstay.contracts.run import plain
from backstay.contracts.standing import (
    GiveInput,
    GiveResult,
    GrantView,
    Returning,
    Revoking,
    StandingInput,
    StandingView,
    UseResult,
    WantedUse,
)
from backstay.kernel.approval import Refusal
from backstay.kernel.history import nearly_full
from backstay.kernel.ledger_period import milliseconds
from backstay.kernel.standing import Revocation, Standing

from .messages import fitting, invalid_input, repetitions

MESSAGES_PER_LINK = 1_000
"""After how many messages the grants continue as new; Temporal accepts about 2,000 updates in one link of a chain."""
PUBLISH_EVERY = timedelta(seconds=2)
_GIVE = "Adds a standing grant. Sent by the runtime."
_USE = "Draws a use of a standing grant. Sent by the runtime."
_RETURNED = "Gives uses back of calls that did not happen. Sent by the runtime."
_REVOKE = 'Takes a standing grant back. Payload: {"grant_id": "grt_...", "by": "you@example.com", "reason": "why"}'


@workflow.defn(name=names.TENANT_GRANTS)
class TenantGrants:
    """A workflow that lets a call through only where a live grant has room for it, by its own clock."""

    @workflow.init
    def __init__(self, *args: Any) -> None:
        # Cron and retries have a run before them too; grants are believed from continue-as-new alone.
        continued = workflow.info().continued_run_id is not None
        given = repetitions() or StandingInput.read(args, continued=continued)
        self._problems: list[Problem] = given if isinstance(given, list) else []
        self._tenant = "" if isinstance(given, list) else given.tenant
        self._standing = Standing() if isinstance(given, list) else given.standing or Standing()
        self._told = self._standing
        self._messages = 0

    @workflow.run
    async def run(self, *args: Any) -> None:
        """Keeps the grants for ever, in one link after the other; never returns."""
        if self._problems:
            raise invalid_input(self._problems)
        try:
            await self._keep()
        except (FailureError, workflow.ContinueAsNewError):
            raise
        except Exception as bug:
            # An unexpected error would fail the workflow task, which Temporal retries for ever.
            text = f"{type(bug).__name__} in the grants themselves"
            raise ApplicationError(text, type="InternalError", non_retryable=True) from bug

    async def _keep(self) -> None:
        while not self._full():
            await workflow.wait_condition(lambda: self._full() or self._standing is not self._told)
            self._told = self._standing = self._standing.forgetting(self._now_ms())
            workflow.upsert_memo({names.GRANTS: plain(self._view())})
            await workflow.sleep(PUBLISH_EVERY, summary="before the grants are shown again")
        await workflow.wait_condition(workflow.all_handlers_finished)
        carried = StandingInput(tenant=self._tenant, standing=self._standing)
        workflow.continue_as_new(plain(carried), memo={names.GRANTS: plain(self._view())})

    # Nothing is awaited in a handler, so that no update stays in flight, and each sees what the one before did.

    @workflow.update(name=names.GIVE, description=_GIVE)
    async def give(self, *args: Any) -> dict[str, Any]:
        """Adds a grant; the same once more changes nothing."""
        self._messages += 1
        after = self._standing.give(fitting(GiveInput, args).grant, self._now_ms())
        if isinstance(after, Refusal):
            return plain(GiveResult(refusal=after))
        self._standing = after
        return plain(GiveResult())

    @workflow.update(name=names.USE, description=_USE)
    async def use(self, *args: Any) -> dict[str, Any]:
        """Draws a use, where a grant fits."""
        self._messages += 1
        self._standing, use = self._standing.use(fitting(WantedUse, args).wanted, self._now_ms())
        return plain(UseResult(use=use))

    @workflow.update(name=names.REVOKE, description=_REVOKE)
    async def revoke(self, *args: Any) -> dict[str, Any]:
        """Takes a grant back; the answer is the grant as it is now."""
        self._messages += 1
        revoking = fitting(Revoking, args)
        self._revoke(revoking)
        grant = self._standing.grants.get(revoking.grant_id)
        if grant is None:
            text = f"tenant {self._tenant} has no grant of that id"
            raise ApplicationError(text, type="GrantUnknown", non_retryable=True)
        return plain(GrantView.of(grant, self._tenant, self._now_ms()))

    @give.validator
    def _give_fits(self, *args: Any) -> None:
        self._fits(GiveInput, args)

    @use.validator
    def _use_fits(self, *args: Any) -> None:
        self._fits(WantedUse, args)

    @revoke.validator
    def _revoke_fits(self, *args: Any) -> None:
        self._fits(Revoking, args)

    @workflow.signal(name=names.REVOKED, description=_REVOKE)
    def revoked(self, *args: Any) -> None:
        """Takes a grant back, as the update does."""
        self._messages += 1
        revoking = read_message(Revoking, args)
        if not isinstance(revoking, list):
            self._revoke(revoking)

    @workflow.signal(name=names.RETURNED, description=_RETURNED)
    def returned(self, *args: Any) -> None:
        """Gives uses back."""
        self._messages += 1
        returning = read_message(Returning, args)
        for use_id in [] if isinstance(returning, list) else returning.uses:
            self._standing = self._standing.give_back(use_id)

    @workflow.query(name=names.GRANTS, description="The grants as they are now. No input.")
    def grants(self) -> dict[str, Any]:
        """Returns a `StandingView`."""
        return plain(self._view())

    def _fits(self, model: type[GiveInput | WantedUse | Revoking], args: tuple[Any, ...]) -> None:
        if self._problems:
            raise invalid_input(self._problems)
        fitting(model, args)

    def _revoke(self, revoking: Revoking) -> None:
        revocation = Revocation(revoking.by, revoking.reason, self._now_ms())
        self._standing = self._standing.revoke(revoking.grant_id, revocation)

    def _now_ms(self) -> int:
        return milliseconds(workflow.now())

    def _full(self) -> bool:
        info = workflow.info()
        full = nearly_full(info.get_current_history_size(), info.get_current_history_length())
        return self._messages >= MESSAGES_PER_LINK or full

    def _view(self) -> StandingView:
        now_ms = self._now_ms()
        return StandingView(
            tenant=self._tenant,
            grants=[GrantView.of(grant, self._tenant, now_ms) for grant in self._standing.grants.values()],
        )
