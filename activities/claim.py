"""Claims the effect that identical calls share: it is performed once, and each call gets its result."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from temporalio import activity

from backstay.contracts.call import ActInput, ToolResult
from backstay.contracts.effect import CallRef, Claim, EffectInput
from backstay.kernel import keys
from backstay.ports import Effects

from .canonical import canonical
from .heartbeat import Pulse, cancelled_by_the_run, engine_knows_it_no_more
from .prepare import PreparedCall, this_run


@dataclass(frozen=True, slots=True)
class EffectIds:
    """Names shared effects under the fleet's key."""

    fleet_key: bytes

    def of(self, given: ActInput, prepared: PreparedCall) -> str:
        """Digests scope, tenant, run (for the scope `run`), tool and canonical arguments into the effect's id.

        Arguments are the same where the tool gets the same: one that is left out counts as its default.
        """
        dedupe = prepared.tool.spec.dedupe
        identity: Mapping[str, Any] = {
            "scope": dedupe,
            "tenant": prepared.call.tenant,
            "run": given.run_key if dedupe == "run" else None,
            "tool": given.tool,
            "arguments": prepared.tool.identity(prepared.values, prepared.arguments),
        }
        return keys.effect_id(self.fleet_key, canonical(identity))


async def claimed(
    effects: Effects, effect_id: str, given: ActInput, prepared: PreparedCall, pulse: Pulse
) -> ToolResult:
    """Claims the effect and returns its one result; withdraws the claim where the run is stopped meanwhile.

    Raises:
        EffectUnreachedError: the effect could not be asked; another attempt at this call meets the same one.
    """
    claim = Claim(call=_this_call(given), again=given.again)
    details = activity.info().heartbeat_details
    earlier = str(details[0]) if details else "" if prepared.attempt > 1 else None
    if earlier:
        pulse.tell(earlier)
    claiming = effects.claim(effect_id, _start(given, prepared), claim, earlier, pulse.tell)
    try:
        return await claiming.result()
    except asyncio.CancelledError:
        # Not where only this attempt ends, because the worker stops or another attempt has taken the call over.
        if cancelled_by_the_run() or (engine_knows_it_no_more() and await effects.is_over(claim.call)):
            return await claiming.withdraw()
        raise
    finally:
        claiming.drop()


def _this_call(given: ActInput) -> CallRef:
    run = this_run()
    return CallRef(
        workflow_id=run.workflow_id, run_id=run.run_id, call_id=given.call_id, task_queue=activity.info().task_queue
    )


def _start(given: ActInput, prepared: PreparedCall) -> EffectInput:
    spec = prepared.tool.spec
    return EffectInput(
        call=_this_call(given),
        key=given.own_key,
        tenant=prepared.call.tenant,
        tool=spec.name,
        effect=cast("Literal['write', 'once']", spec.effect),
        timeout=spec.timeout,
        window=spec.dedupe_window,
    )
