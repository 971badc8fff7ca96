"""Claims the effect that identical calls share: one of them performs it, and each gets its result."""

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any, Literal, cast

import rfc8785
from temporalio import activity

from backstay.contracts.call import ActInput, ToolResult
from backstay.contracts.effect import CallRef, Claim, EffectInput
from backstay.ports import Effects

from .heartbeat import Pulse, cancelled_by_the_run, engine_knows_it_no_more
from .prepare import Prepared, own_key, this_run


async def claimed(effects: Effects, given: ActInput, prepared: Prepared, pulse: Pulse) -> ToolResult:
    """The effect's one result; a call whose run is stopped meanwhile withdraws, and says what became of it.

    Raises:
        EffectUnreachedError: the effect could not be asked; another attempt of this call meets the same one.
    """
    claim = Claim(call=_this_call(given), again=given.again)
    details = activity.info().heartbeat_details
    earlier = str(details[0]) if details else "" if activity.info().attempt > 1 else None
    if earlier:
        pulse.tell(earlier)
    claiming = effects.claim(effect_id(given, prepared), _start(given, prepared), claim, earlier, pulse.tell)
    try:
        return await claiming.result()
    except asyncio.CancelledError:
        # Not so where only this attempt ends: the worker stops, or another attempt has taken the call over.
        if cancelled_by_the_run() or (engine_knows_it_no_more() and await effects.is_over(claim.call)):
            return await claiming.withdraw()
        raise
    finally:
        claiming.drop()


def effect_id(given: ActInput, prepared: Prepared) -> str:
    """The id of the effect: a digest of scope, tenant, run (in its scope), tool and canonical arguments.

    Arguments are the same where the tool gets the same: one that is left out is its default, written out.
    """
    dedupe = prepared.tool.spec.dedupe
    identity: Mapping[str, Any] = {
        "scope": dedupe,
        "tenant": prepared.call.tenant,
        "run": given.run_key if dedupe == "run" else None,
        "tool": given.tool,
        "arguments": prepared.tool.identity(prepared.values, prepared.arguments),
    }
    return "effect-" + hashlib.sha256(rfc8785.dumps(cast("Any", identity))).hexdigest()


def _this_call(given: ActInput) -> CallRef:
    run = this_run()
    return CallRef(
        workflow_id=run.workflow_id, run_id=run.run_id, call_id=given.call_id, task_queue=activity.info().task_queue
    )


def _start(given: ActInput, prepared: Prepared) -> EffectInput:
    spec = prepared.tool.spec
    return EffectInput(
        call=_this_call(given),
        key=own_key(given),
        tenant=prepared.call.tenant,
        tool=spec.name,
        effect=cast("Literal['write', 'once']", spec.effect),
        timeout=spec.timeout,
        window=spec.dedupe_window,
    )
