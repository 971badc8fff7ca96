"""Checks each part that serving runs needs, and names the mend where one is missing; nothing here costs anything."""

import os
from collections.abc import AsyncGenerator, Mapping

import httpx2

from backstay.adapters.agent.catalog import Catalog, needs_key
from backstay.adapters.agent.folder import Agent
from backstay.adapters.agent.organisation import load_organisation
from backstay.adapters.archive.keys import audit_keys
from backstay.adapters.archive.place import place_of
from backstay.adapters.archive.prune import Hold
from backstay.adapters.proof.verifier import proofs_of
from backstay.adapters.tool.blocking import blocking_calls
from backstay.app.application import agents_of, policy_folders
from backstay.app.model_queues import accounts_of
from backstay.checks.accounts import account_checks
from backstay.checks.mcp_servers import floating_servers
from backstay.checks.rules import NOBODY, STAFF, linted
from backstay.client.health import Check, failed, masked_url
from backstay.errors import ArchiveError, ConfigurationError
from backstay.settings import Settings

OPENAI_URL = "https://api.openai.com/v1"
_PATIENCE_SECONDS = 5.0
_NOWHERE = ".doctor"


async def checks(settings: Settings) -> AsyncGenerator[Check]:
    """Checks all parts of a worker one after the other; skips what needs a part that is missing."""
    agents: dict[str, Agent] = {}
    try:
        agents = agents_of(settings)
        await _catalogued(agents, settings)
        yield Check("agents", True, ", ".join(sorted(agents)))
    except ConfigurationError as error:
        yield failed("agents", error)
    for found in _blocking(agents):
        yield found
    for found in _servers(agents):
        yield found
    yield _rules(settings)
    if settings.people_keys or settings.require_proof:
        yield _proofs(settings)
    yield await _archive(settings)
    for found in _approvers(settings):
        yield found
    async for found in account_checks(accounts_of(agents.values())):
        yield found
    for agent_names, base_url, variable, key in _endpoints(agents, settings):
        yield await _model(agent_names, base_url, variable, key)


def _blocking(agents: Mapping[str, Agent]) -> list[Check]:
    """Names the async tools that would block the event loop of their agent."""
    mend = "make the tool a plain `def`, which gets a thread of its own, or await what it waits for"
    return [
        Check(
            "tools", False, f"{found.where}: the async tool `{found.tool}` of `{name}` blocks in `{found.call}`", mend
        )
        for name, agent in sorted(agents.items())
        for tool in agent.tools.values()
        for found in blocking_calls(tool)
    ]


def _servers(agents: Mapping[str, Agent]) -> list[Check]:
    """Warns of what somebody should look at in MCP servers, above all of those that change by themselves."""
    mend = "install it in a version of your choice, and let `command` name the installed program"
    found = [
        Check(
            "mcp",
            True,
            f"`{name}` of `{agent}` runs `{package}` in its newest version",
            mend,
            doubtful=True,
        )
        for agent, name, package in floating_servers({one.name: one.config for one in agents.values()})
    ]
    warned = [(name, warning) for name, agent in sorted(agents.items()) for warning in agent.mcp.warnings]
    return [*found, *(Check("mcp", True, f"`{name}`: {warning}", "", doubtful=True) for name, warning in warned)]


async def _catalogued(agents: Mapping[str, Agent], settings: Settings) -> None:
    """Checks agents as a worker does, except the model's key, which is a check of its own."""
    keyed = settings.model_copy(update={"openai_api_key": settings.openai_api_key or "none"})
    without = {name: agent for name, agent in agents.items() if not agent.config.model.api_key_env}
    await Catalog(without, keyed, load_organisation(policy_folders(settings))).close()


def _rules(settings: Settings) -> Check:
    """Checks the rules, and repeats the warnings of `backstay policy check`."""
    try:
        found = linted(settings)
    except ConfigurationError as error:
        return failed("policies", error)
    if found.problems:
        more = f", and {len(found.problems) - 1} more" if len(found.problems) > 1 else ""
        return Check("policies", False, f"{found.problems[0]}{more}", "see `backstay policy check`")
    warnings = "".join(f"; warning: {one.where}: {one.what}" for one in found.warnings)
    mend = "see `backstay policy check`" if warnings else ""
    return Check("policies", True, f"{found.rules} rules in force{warnings}", mend, doubtful=bool(warnings))


def _proofs(settings: Settings) -> Check:
    try:
        stance = proofs_of(settings).stance
    except ConfigurationError as error:
        return failed("proofs", error)
    return Check("proofs", True, f"{stance}, verified by {settings.people_keys}")


async def _archive(settings: Settings) -> Check:
    """Warns where evidence is kept by Temporal alone, or unsigned; asks the archive for a folder that is not there."""
    name = "archive"
    if settings.archive is None:
        detail = "evidence of runs is kept by Temporal alone, which forgets closed runs"
        return Check(name, True, detail, "set `BACKSTAY_ARCHIVE` to a folder or a bucket", doubtful=True)
    try:
        keys = audit_keys(settings.audit_key)
        for hold in settings.legal_hold:
            Hold.read(hold)
        await place_of(settings.archive).names(_NOWHERE)
    except (ConfigurationError, ArchiveError) as error:
        return failed(name, error)
    where = masked_url(settings.archive)
    if not keys:
        return Check(name, True, f"{where}, not signed", "set `BACKSTAY_AUDIT_KEY`", doubtful=True)
    return Check(name, True, f"{where}, signed by {keys[0].key}")


def _approvers(settings: Settings) -> list[Check]:
    """Warns of groups of the organisation that nobody is in yet."""
    try:
        vacant = sorted(load_organisation(policy_folders(settings)).vacant)
    except ConfigurationError:
        return []  # the check of the rules says so
    return [Check("approvers", True, f"the group `{name}`: {NOBODY}", STAFF, doubtful=True) for name in vacant]


def _endpoints(agents: Mapping[str, Agent], settings: Settings) -> list[tuple[list[str], str, str, str | None]]:
    """Lists each model endpoint once: the agents that use it, its address, the variable of its key, and the key."""
    found: dict[tuple[str | None, str], list[str]] = {}
    for name, agent in sorted(agents.items()):
        model = agent.config.model
        base_url = model.base_url or settings.openai_base_url
        found.setdefault((base_url, model.api_key_env or "OPENAI_API_KEY"), []).append(name)
    keys = {"OPENAI_API_KEY": settings.openai_api_key}
    return [
        (names, base_url or "", variable, keys.get(variable) or os.environ.get(variable))
        for (base_url, variable), names in found.items()
    ]


async def _model(names: list[str], base_url: str, variable: str, key: str | None) -> Check:
    """Asks for the list of models, which is free; a server without such a list counts as present."""
    whom = f"for {', '.join(names)}"
    if not key and (needs_key(base_url or None) or variable != "OPENAI_API_KEY"):
        mend = "set it, or `OPENAI_BASE_URL` for a server that needs no key; `backstay dev` plays a scripted model"
        return Check("model", False, f"`{variable}` is not set, {whom}", mend)
    address = masked_url(base_url or OPENAI_URL)
    try:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with httpx2.AsyncClient(timeout=_PATIENCE_SECONDS) as client:
            status = (await client.get(f"{(base_url or OPENAI_URL).rstrip('/')}/models", headers=headers)).status_code
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        detail = f"{address} does not answer ({type(error).__name__}), {whom}"
        return Check("model", False, detail, "check `OPENAI_BASE_URL`, and the network")
    if status in (401, 403):
        return Check("model", False, f"{address} refuses the key ({status}), {whom}", f"check `{variable}`")
    if status >= 500:
        return Check("model", False, f"{address} answers with {status}, {whom}", "look at the model's server")
    return Check("model", True, f"{address} answers, {whom}")
