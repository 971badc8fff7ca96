"""`backstay quota`: sets and shows the rates of providers' accounts; needs no worker."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pydantic import ValidationError

from backstay.client.quotas import Rate, check_account, rates, set_quota
from backstay.contracts.problems import problems_of
from backstay.contracts.quota import SetQuota, per_minute, read_per_minute
from backstay.errors import ConfigurationError
from backstay.kernel.characters import escaped

from ..shell.connected import connected, person
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.terminal import Output, say, write, write_json
from ..views.columns import Columns

_UNITS = {"rpm": 60, "rps": 1}


@dataclass(frozen=True, slots=True)
class Asked:
    """The rate as it was typed: one of these alone."""

    rpm: str | None
    rps: str | None
    off: bool

    def rate(self) -> int | None:
        """Reads the rate; None takes the limit away.

        Raises:
            ConfigurationError: not exactly one was given, or it is no rate.
        """
        given = {unit: text for unit, text in (("rpm", self.rpm), ("rps", self.rps)) if text is not None}
        if len(given) + self.off != 1:
            mend = "write for example `--rpm 500`"
            raise ConfigurationError("give one of `--rpm`, `--rps` and `--off`", mend=mend)
        for unit, text in given.items():
            try:
                return read_per_minute(text, _UNITS[unit])
            except ValueError as error:
                raise ConfigurationError(str(error), where=f"`--{unit}`") from None
        return None


def set_rate(account: str, asked: Asked, reason: str, by: str | None, output: Output) -> int:
    """Runs `backstay quota set` and returns its exit code."""
    check_account(account)
    try:
        setting = SetQuota(rate=asked.rate(), by=person(by), reason=reason)
    except ValidationError as error:
        problem = problems_of(error)[0]
        raise ConfigurationError(problem.problem, where=f"`--{problem.field}`") from None
    return run_loop(_set(account, setting, output))


async def _set(account: str, setting: SetQuota, output: Output) -> int:
    link = await connected()
    hold = await set_quota(link.client.temporal, account, setting)
    if output is Output.JSON:
        told = {"account": account, "rpm": _number(setting.rate), "by": setting.by, "reason": setting.reason}
        write_json(told if hold is None else {**told, "held_by": list(hold.incidents)})
    rate = "no limit" if setting.rate is None else f"{per_minute(setting.rate)} requests per minute"
    if hold is not None:
        say(f"{account}: {rate} once the stop is lifted. Until then no call is let through: {hold.by}")
    elif output is not Output.JSON:
        say(f"{account}: {rate} from now on")
    return ExitCode.COMPLETED


def show(account: str | None, output: Output) -> int:
    """Runs `backstay quota show` and returns its exit code."""
    if account is not None:
        check_account(account)
    return run_loop(_show(account, output))


async def _show(account: str | None, output: Output) -> int:
    link = await connected()
    found = await rates(link.client.temporal, account)
    if output is Output.JSON:
        write_json({"accounts": [_as_json(one) for one in found]})
    elif found:
        write(_table(found))
    else:
        say("no account has a rate; set one with `backstay quota set ACCOUNT --rpm 500`")
    return ExitCode.COMPLETED


def _number(rate: int | None) -> int | float | None:
    """Returns requests per minute as JSON has them."""
    if rate is None:
        return None
    exact = Decimal(per_minute(rate))
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def _as_json(one: Rate) -> dict[str, object]:
    return {
        "account": one.account,
        "rpm": _number(one.configured),
        "in_force_rpm": _number(one.in_force),
        "lowered": one.lowered,
        "why": one.why or None,
        "held_by": list(one.queue.hold.incidents) if one.queue.hold else [],
        "since": None if one.queue.since is None else one.queue.since.isoformat(),
        "until": None if one.until is None else one.until.isoformat(),
        "refusals": one.refusals,
        "backlog": one.queue.backlog,
        "oldest_seconds": round(one.queue.oldest_seconds, 1),
        "workers": one.queue.pollers,
    }


def _table(found: Sequence[Rate]) -> Columns:
    figures = ("rpm", "in force", "waiting", "longest", "workers")
    table = Columns(("account", "rpm", "in force", "until", "waiting", "longest", "workers", "why"), figures)
    for one in found:
        table.add(
            one.account,
            "no limit" if one.configured is None else per_minute(one.configured),
            "no limit" if one.in_force is None else per_minute(one.in_force),
            "" if one.until is None else f"{one.until.astimezone():%H:%M:%S}",
            str(one.queue.backlog),
            f"{one.queue.oldest_seconds:.0f} s" if one.queue.backlog else "",
            str(one.queue.pollers),
            escaped(one.why),
        )
    return table
