"""`backstay grants`: lists standing grants and takes them back; listing needs no worker."""

from collections.abc import Sequence
from datetime import datetime

from backstay.client.standing import revoke_grant, standing_grants
from backstay.contracts.run import plain
from backstay.contracts.standing import GrantView
from backstay.errors import ConfigurationError
from backstay.kernel.characters import escaped

from ..shell.connected import connected, person
from ..shell.exit import ExitCode
from ..shell.failure import Failure, say_failure
from ..shell.loop import run_loop
from ..shell.terminal import Output, one_line, say, write, write_json
from ..views.columns import Columns

_RULES = 100


def listed(tenant: str | None, agent: str | None, output: Output) -> int:
    """Runs `backstay grants list` and returns its exit code."""
    return run_loop(_list(tenant, agent, output))


def revoke(grant_id: str, reason: str, by: str | None, tenant: str | None, output: Output) -> int:
    """Runs `backstay grants revoke` and returns its exit code."""
    if not reason.strip():
        raise ConfigurationError("a revocation needs a reason", mend="write it as `--reason WHY`")
    return run_loop(_revoke(grant_id, reason, person(by), tenant, output))


async def _list(tenant: str | None, agent: str | None, output: Output) -> int:
    link = await connected()
    found = [one for one in await standing_grants(link.client.temporal, tenant) if agent in (None, one.agent)]
    if output is Output.JSON:
        write_json([plain(one) for one in found])
    elif found:
        write(_table(found))
    else:
        of_these = " of these" if tenant or agent else ""
        say(f"there are no standing grants{of_these}; `backstay approve RUN --grant uses=20` gives one")
    return ExitCode.COMPLETED


async def _revoke(grant_id: str, reason: str, by: str, tenant: str | None, output: Output) -> int:
    temporal = (await connected()).client.temporal
    known = {one.id: one for one in await standing_grants(temporal, tenant)}
    if grant_id not in known:
        what = f"there is no standing grant `{escaped(grant_id)}`"
        why = "the id is misspelt, the grant ended more than a day ago, or it was given this very second"
        do = "`backstay grants list` shows all; `--tenant T` looks at once among those of a tenant"
        say_failure(Failure("GrantNotFound", what, why, do), as_json=output is Output.JSON)
        return ExitCode.NOT_FOUND
    grant = await revoke_grant(temporal, known[grant_id], by, reason)
    if output is Output.JSON:
        write_json(plain(grant))
    else:
        said = f"revoked by {escaped(grant.revoked.by)}" if grant.revoked else grant.state
        say(f"{escaped(grant.id)}: {said}; the next call of {escaped(grant.tool)} asks again")
    return ExitCode.COMPLETED


def _table(found: Sequence[GrantView]) -> Columns:
    table = Columns(
        ("grant", "tenant", "agent", "tool", "rule", "by", "given", "until", "left", "exposure left", "state"),
        ("left",),
    )
    for one in found:
        caps = [f"{name} {one.exposure_left[name]} of {most}" for name, most in one.exposure.items()]
        table.add(
            escaped(one.id),
            escaped(one.tenant),
            escaped(one.agent),
            escaped(one.tool),
            one_line(", ".join(one.rules), _RULES),
            escaped(one.by),
            _time(one.given),
            _time(one.until),
            f"{one.uses_left} of {one.uses}",
            ", ".join(caps),
            one.state,
        )
    return table


def _time(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M:%S}"
