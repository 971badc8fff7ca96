"""Joins the limits of an agent's meters: the organisation's and its own, with the people who may let a call above."""

import logging

from backstay.contracts.exposure import MeterSpec
from backstay.kernel.approval import quorum_of
from backstay.kernel.ledger_period import Period

from .folder import Agent
from .organisation import Organisation, check_asks

logger = logging.getLogger("backstay.agents")

NOBODY = ""
"""No tenant: none has this name."""


def exposure_of(agent: Agent, org: Organisation, tenant: str) -> dict[str, MeterSpec]:
    """Returns the limits of each meter that a tool of the agent adds to, as a run of a tenant is admitted with."""
    groups = {**agent.config.approval.groups, **org.groups}
    found: dict[str, MeterSpec] = {}
    for name in sorted(_fed(agent)):
        meter = MeterSpec(organisation=list(org.exposure.get(name, ())), agent=agent.config.exposure.get(name))
        asked = [quorum_of(level.asks) for level in meter.levels if level.asks]
        members = {one.group: list(groups.get(one.group, ())) for one in asked if one is not None}
        here = org.limits.counts(name, tenant, agent.name)
        counted = [one for one in Period if one in here or any(level.counts(one) for level in meter.levels)]
        found[name] = meter.model_copy(update={"members": members, "counted": counted})
    return found


def counted_of(agent: Agent, org: Organisation) -> dict[str, dict[Period, bool]]:
    """Returns the meters that ledgers count for an agent, in which periods, and whether they do so for every tenant."""
    found: dict[str, dict[Period, bool]] = {}
    for name, meter in exposure_of(agent, org, NOBODY).items():
        some = org.limits.counts_for_some_tenant(name)
        periods = {period: period in meter.counted for period in Period if period in meter.counted or period in some}
        if periods:
            found[name] = periods
    return found


def check_exposure(agent: Agent, org: Organisation) -> None:
    """Checks the agent's own limits of meters, and warns of those that limit nothing.

    Raises:
        ConfigurationError: a group that is asked has too few members.
    """
    check_asked(agent, org)
    for name in unfed(agent):
        file = agent.folder / "agent.toml"
        logger.warning("%s: `exposure.%s` limits nothing: no tool of the agent adds to it", file, name)


def check_asked(agent: Agent, org: Organisation) -> None:
    """Checks that the people are there who may let a meter above the agent's own limits.

    Raises:
        ConfigurationError: a group that is asked has too few members.
    """
    file, groups = agent.folder / "agent.toml", {**agent.config.approval.groups, **org.groups}
    for name, limits in agent.config.exposure.items():
        check_asks(name, limits, groups, str(file))


def unfed(agent: Agent) -> list[str]:
    """Lists the meters that agent.toml limits and no tool of the agent adds to: a misspelt name limits nothing."""
    return [name for name in agent.config.exposure if name not in _fed(agent)]


def _fed(agent: Agent) -> set[str]:
    return {name for tool in agent.tools.values() for name in tool.spec.exposure}
