"""Serves agents anew when their files change: for developing, where a restart after each edit is a nuisance."""

import asyncio
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from watchfiles import Change, awatch  # pyright: ignore[reportUnknownVariableType]

from backstay.adapters.agent.folder import Agent, load_agent
from backstay.adapters.agent.organisation import load_organisation
from backstay.errors import ConfigurationError

from . import folders
from .application import Application, policy_folders
from .rules import built, check_none_vanished

STILL_SECONDS = 0.3

Say = Callable[[str], None]


async def keep_agents_current(app: Application, say: Say) -> None:
    """Watches the folders of agents and serves what changed; a broken edit leaves the old version in force.

    Args:
        app: what is served.
        say: tells a person what is served now, or what is wrong.
    """
    # A file that is edited twice in a second would be taken for the one that was compiled before.
    sys.dont_write_bytecode = True
    roots = [root.resolve() for root in app.settings.agent_folders(folders.SHIPPED_AGENTS)]
    async for changes in awatch(*roots, watch_filter=_of_an_agent, debounce=200):
        await asyncio.sleep(STILL_SECONDS)
        for folder in _touched(roots, (Path(path) for _, path in changes)):
            reload_agent(app, folder, say)


def reload_agent(app: Application, folder: Path, say: Say) -> None:
    """Reads an agent again and serves it to new runs; open runs keep the version that they were admitted with."""
    before = app.catalog.agents.get(folder.name)
    if not (folder / "agent.toml").is_file() or (before is not None and before.folder != folder):
        return
    try:
        agent = load_agent(folder, app.secrets.read)
        if before is None or agent.version != before.version:
            _serve(app, agent, before)
            words = "new runs take the new version; open runs keep theirs" if before else "served from now on"
            say(f"{agent.name}: {words} ({agent.version.removeprefix('sha256:')[:8]})")
    except ConfigurationError as error:
        kept = "the version before stays in force" if before else "it is not served"
        say(f"{folder.name}: {kept}, because the edit is broken\n     why: {error}")


def _serve(app: Application, agent: Agent, before: Agent | None) -> None:
    org = load_organisation(policy_folders(app.settings))
    rules = built(agent, org)
    if any(tool.spec.dedupe for tool in agent.tools.values()) and not app.shares_effects():
        raise ConfigurationError("the first tool with `dedupe` needs a worker of its own", mend="start `dev` again")
    known = {one.config.model.account for one in app.catalog.agents.values()}
    if agent.config.model.account not in known | {None}:
        what = f"the first agent of the account `{agent.config.model.account}` needs a worker of its own"
        raise ConfigurationError(what, mend="start `dev` again")
    if before is not None:
        check_none_vanished(app.gate.bundle(agent.name), rules[0])
    app.catalog.put(agent)
    if before is not None:
        groups = {**before.config.approval.groups, **org.groups}
        app.gate.put(app.gate.bundle(agent.name), groups, before.version)
    app.gate.put(*rules)
    for tool in agent.tools.values():
        app.secrets.learn(tool.secrets)


def _touched(roots: Iterable[Path], paths: Iterable[Path]) -> list[Path]:
    """Returns the folders of agents in which files have changed."""
    changed = list(paths)
    return sorted(
        {root / path.relative_to(root).parts[0] for root in roots for path in changed if path.is_relative_to(root)}
    )


def _of_an_agent(change: Change, path: str) -> bool:
    return path.endswith((".py", ".cedar", "agent.toml")) and not any(
        part.startswith(".") for part in Path(path).parts[-3:]
    )
